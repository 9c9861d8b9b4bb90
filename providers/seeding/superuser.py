"""AURORA_ADMIN_PASSWORD -> the superuser `admin`."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from aurora_site import welcome
from providers.seeding.wanted import SeedError

VARIABLE = "AURORA_ADMIN_PASSWORD"
NAME = "admin"


def admin_password(environ: Mapping[str, str]) -> str:
    """The superuser's password, or "". Raises ValueError if it is not text."""
    password = environ.get(VARIABLE, "")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{VARIABLE}: it is not UTF-8 text") from None
    return password


def seed_superuser(password: str) -> list[str]:
    """Make `admin` if missing. One who exists keeps the password that they have.

    Raises SeedError for a new superuser's password that Django's validators refuse.
    """
    users = get_user_model()._default_manager
    if not password:
        if users.filter(is_superuser=True).exists():
            return []
        link = welcome.command("login_link", folder=settings.BASE_DIR)
        return [f"There is no administrator: set {VARIABLE}, or open the link that `{link}` prints"]
    user = users.filter(username=NAME).first()
    if user is None:
        _check_strength(password)
        users.create_superuser(username=NAME, password=password)
        return [f"superuser {NAME}: added with {VARIABLE}"]
    if check_password(password, user.password):  # the user's own method might save a new hash
        return []
    return [
        f"superuser {NAME}: has another password than {VARIABLE}, and keeps it;"
        f" `manage.py changepassword {NAME}` changes it"
    ]


def _check_strength(password: str) -> None:
    try:
        validate_password(password, get_user_model()(username=NAME))
    except ValidationError as error:
        raise SeedError(f"{VARIABLE}: {' '.join(error.messages)}") from None
