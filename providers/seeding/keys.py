"""AURORA_MASTER_KEY -> a key; AURORA_ADMIN_PASSWORD -> the superuser `admin`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID, uuid4

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password
from django.db.models import QuerySet
from django.utils import timezone

from providers import secrets
from providers.models import ApiKey, Source
from providers.seeding import placeholders

VARIABLE = "AURORA_MASTER_KEY"
SHORT_CHARACTERS = 16
PASSWORD_VARIABLE = "AURORA_ADMIN_PASSWORD"  # noqa: S105 - a variable's name
SUPERUSER = "admin"


def master_key(environ: Mapping[str, str]) -> str:
    """The key to accept, or "". Raises ValueError if no client could send it in a header."""
    secret = environ.get(VARIABLE, "").strip(" \t\r\n")
    if placeholders.holds_one(secret):
        raise ValueError(f"{VARIABLE}: it holds a ${{…}} that nothing expanded; write the key")
    if not re.fullmatch(r"[!-~]*", secret):
        raise ValueError(
            f"{VARIABLE}: a key is made of visible ASCII characters, without spaces;"
            " `openssl rand -hex 32` makes one"
        )
    if len(secret) > secrets.MOST_CALLER_KEY_CHARACTERS:
        raise ValueError(
            f"{VARIABLE}: at most {secrets.MOST_CALLER_KEY_CHARACTERS} characters are taken"
        )
    return secret


def admin_password(environ: Mapping[str, str]) -> str:
    """The superuser's password, or "". Raises ValueError if it is not text."""
    password = environ.get(PASSWORD_VARIABLE, "")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{PASSWORD_VARIABLE}: it is not UTF-8 text") from None
    return password


def seed_master_key(secret: str) -> list[str]:
    """Accept `secret`, if it is not "", in place of what the variable held before.

    Must run in a transaction. A revoked or rotated key is not brought back. Returns what was done.
    """
    key = _held(secret) if secret else None
    if key:
        done = [*_redigested(key, secret), *_revived(key)]
    elif secret:
        key = ApiKey.objects.register(
            secret, name=VARIABLE, source=Source.ENV, owner=_owner_of_next()
        )
        done = [f"{VARIABLE}: added as a master key"]
    else:
        done = []
    if 0 < len(secret) < SHORT_CHARACTERS:
        done.append(
            f"{VARIABLE}: shorter than {SHORT_CHARACTERS} characters, so it may be guessed;"
            " `openssl rand -hex 32` makes a better one"
        )
    return [*done, *_retired_others(key), *_without_access()]


def _held(secret: str) -> ApiKey | None:
    """The row of this secret, the one under the newest keyring secret first."""
    digests = secrets.digests(secret)
    rows = ApiKey.objects.select_for_update().filter(digest__in=digests)
    return min(rows, key=lambda row: digests.index(row.digest), default=None)


def _redigested(key: ApiKey, secret: str) -> list[str]:
    """Tombstones too: else a revoked key would come back once the older secret is dropped."""
    newest = secrets.digests(secret)[0]
    if key.digest == newest:
        return []
    key.digest = newest
    key.save(update_fields=["digest"])
    return [f"{VARIABLE}: its key is now kept under the newest secret of the keyring"]


def _revived(key: ApiKey) -> list[str]:
    if key.revoked:
        return [f"{VARIABLE}: this key was revoked, so it is not usable; set another"]
    if key.successor_id:
        until = f"until {key.expires:%Y-%m-%d %H:%M} UTC" if key.usable else "no more"
        return [f"{VARIABLE}: this key was rotated, so it is usable {until}; set its successor"]
    if key.expires and key.expires <= timezone.now():
        return [f"{VARIABLE}: this key has expired, so it is not usable; set another"]
    if key.retired is None:
        return []
    key.retired = None
    key.save(update_fields=["retired"])
    return [f"{VARIABLE}: its key had been retired and is accepted again"]


def _owner_of_next() -> UUID:
    """What is kept goes over to the key that takes another's place."""
    before = _from_variable().order_by("created").last()
    return before.owner if before else uuid4()


def _from_variable() -> QuerySet[ApiKey]:
    """The keys that the variable holds or held until now."""
    return ApiKey.objects.select_for_update().filter(
        source=Source.ENV, revoked=None, retired=None, successor=None
    )


def _retired_others(key: ApiKey | None) -> list[str]:
    retired = [other for other in _from_variable() if key is None or other.pk != key.pk]
    for other in retired:
        other.retired = timezone.now()
        other.save(update_fields=["retired"])
    return [f"key {other}: retired, since {VARIABLE} no longer holds it" for other in retired]


def _without_access() -> list[str]:
    if ApiKey.objects.usable().exists():
        return []
    return [f"No key means no access: set {VARIABLE} or add a key in the admin."]


def seed_superuser(password: str) -> list[str]:
    """Make `admin` if missing. One who exists keeps the password that they have."""
    users = get_user_model()._default_manager
    if not password:
        if users.filter(is_superuser=True).exists():
            return []
        return [
            f"There is no superuser: set {PASSWORD_VARIABLE}, or run `manage.py createsuperuser`"
        ]
    user = users.filter(username=SUPERUSER).first()
    if user is None:
        users.create_superuser(username=SUPERUSER, password=password)
        return [f"superuser {SUPERUSER}: added with {PASSWORD_VARIABLE}"]
    if check_password(password, user.password):  # the user's own method might save a new hash
        return []
    return [
        f"superuser {SUPERUSER}: has another password than {PASSWORD_VARIABLE}, and keeps it;"
        f" `manage.py changepassword {SUPERUSER}` changes it"
    ]
