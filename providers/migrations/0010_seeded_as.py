"""A renamed provider stays the one that its variable or YAML entry names."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.models import F


def fill(apps: Any, schema_editor: Any) -> None:
    """What is there goes by its name: whoever was renamed before cannot be told any more."""
    rows = apps.get_model("providers", "Provider").objects
    rows.exclude(source="admin").filter(seeded_as="").update(seeded_as=F("name"))


class Migration(migrations.Migration):
    dependencies = [("providers", "0009_key_kinds")]
    operations = [
        migrations.AddField(
            model_name="provider",
            name="seeded_as",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="What the source that made it calls it, whatever its name is by now.",
                max_length=63,
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
