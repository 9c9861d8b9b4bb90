"""`manage.py seed`: what `serve` does at its start, by itself."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from providers.seeding import SeedError, seed


class Command(BaseCommand):
    help = "Make providers, master key and superuser follow the environment and the YAML file."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            done = seed(
                settings.ENVIRONMENT.values,
                config_path=settings.OPTIONS["AURORA_CONFIG"],
                base_dir=settings.BASE_DIR,
            )
        except SeedError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("\n".join(done) or "Nothing to change.")
