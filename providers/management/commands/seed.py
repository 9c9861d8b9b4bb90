"""`manage.py seed`: what `serve` does at its start, by itself."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseFailure

from aurora_site import database
from providers import seeding
from providers.seeding import SeedError


class Command(BaseCommand):
    help = "Make providers, master keys and superuser follow the environment and the YAML file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--prune",
            action="store_true",
            help="Also remove the providers, and retire the master keys, that came from there and"
            " are not named there any more, as far as this command's own environment says.",
        )

    def handle(self, *args: Any, prune: bool, **options: Any) -> None:
        try:
            seeds = seeding.read(
                settings.ENVIRONMENT.values,
                config_path=settings.OPTIONS["AURORA_CONFIG"],
                base_dir=settings.BASE_DIR,
            )
            for warning in seeds.warnings:
                self.stderr.write(self.style.WARNING(warning))
            done = seeding.write(seeds, prune=prune)
        except SeedError as error:
            raise CommandError(str(error)) from error
        except DatabaseFailure as error:
            why = database.why(settings.DATABASE, error, variable=settings.DATABASE_VARIABLE)
            raise CommandError(f"{why}; has `manage.py migrate` been run?") from error
        self.stdout.write("\n".join(done) or "Nothing to change.")
