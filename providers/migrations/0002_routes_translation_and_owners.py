"""What servers speak, how calls are translated for them, and whose the kept state is."""

import uuid

from django.db import migrations, models

BATCH_ROWS = 500


def give_owners(apps, schema_editor):
    """Every key the id of the first in its chain of rotations, which is its own if it has none."""
    keys = apps.get_model("providers", "ApiKey").objects.order_by()
    successors = dict(keys.values_list("id", "successor_id"))
    owners = owners_of(successors)
    for start in range(0, len(owners), BATCH_ROWS):
        batch = list(owners)[start : start + BATCH_ROWS]
        rows = list(keys.filter(id__in=batch).only("id"))
        for row in rows:
            row.owner = owners[row.id]
        keys.bulk_update(rows, ["owner"])


def owners_of(successors):
    """The first of each key's chain, by key; of a circle, which only a spoilt table has, any one."""
    followers = {after for after in successors.values() if after}
    firsts = [key for key in successors if key not in followers]
    owners = {}
    for first in [*firsts, *successors]:  # after the firsts, only keys in circles are left
        key = first
        while key and key not in owners:
            owners[key] = first
            key = successors.get(key)
    return owners


class Migration(migrations.Migration):

    dependencies = [
        ("providers", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="discovery",
            name="routes",
            field=models.JSONField(help_text="The paths it takes a POST on, sorted. Null: the server does not say.", null=True),
        ),
        migrations.AddField(
            model_name="provider",
            name="translation",
            field=models.CharField(choices=[("auto", "auto: native where the server speaks it"), ("always", "always: by way of chat completions")], default="auto", help_text="How calls to /v1/responses and /v1/messages reach this server.", max_length=16),
        ),
        migrations.AddConstraint(
            model_name="provider",
            constraint=models.CheckConstraint(condition=models.Q(("translation__in", ["auto", "always"])), name="provider_translation_is_known"),
        ),
        # Not by the default: it would be worked out once, and make one owner of all keys there are.
        migrations.AddField(
            model_name="apikey",
            name="owner",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.RunPython(give_owners, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="apikey",
            name="owner",
            field=models.UUIDField(db_index=True, default=uuid.uuid4, editable=False, help_text="Who owns what is kept: the same for a key and all that it is rotated into."),
        ),
    ]
