"""`manage.py login_link`: a link for the first administrator, on the terminal and in no log."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from aurora_site import public
from providers import first_login


class Command(BaseCommand):
    help = "Print a link that lets the first administrator in; there must be none yet."

    def handle(self, *args: Any, **options: Any) -> None:
        if not first_login.is_open():
            raise CommandError(
                "There is an administrator already. `manage.py changepassword NAME` gives one a new"
                " password."
            )
        base = public.base_url(settings.PUBLIC_URLS, settings.OPTIONS["AURORA_PORT"])
        self.stdout.write(base + first_login.new_path())
