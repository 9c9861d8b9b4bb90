"""AURORA_MASTER_KEY -> keys, one or several."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from uuid import uuid4

from django.db.models import Q
from django.utils import timezone

from aurora_site.environment.cleaning import parts
from providers import chosen_secrets, secrets
from providers.models import ApiKey, Source
from providers.seeding import placeholders
from providers.transactions import locked

VARIABLE = "AURORA_MASTER_KEY"
OF_VARIABLE = Q(source=Source.ENV, revoked=None, retired=None, successor=None)


def master_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The keys to accept, none if nothing is said. Raises ValueError if no client could send one in
    a header, or anybody could guess it."""
    said = environ.get(VARIABLE, "")
    if placeholders.holds_one(said):
        raise ValueError(f"{VARIABLE}: it holds a ${{…}} that nothing expanded; write the key")
    found = parts(said)
    for label, secret in _labelled(found):
        _check_sendable(secret, label)
        _check_strong(secret, label)
    return found


def _labelled(said: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each key with how messages call it, by its place in the variable."""
    for number, secret in enumerate(said, start=1):
        yield (VARIABLE if len(said) == 1 else f"{VARIABLE}, key {number}"), secret


def _check_sendable(secret: str, label: str) -> None:
    if not re.fullmatch(r"[!-~]*", secret):
        raise ValueError(
            f"{label}: a key is made of visible ASCII characters, without spaces;"
            " `openssl rand -hex 32` makes one"
        )
    if len(secret) > secrets.MOST_CALLER_KEY_CHARACTERS:
        raise ValueError(
            f"{label}: at most {secrets.MOST_CALLER_KEY_CHARACTERS} characters are taken"
        )


def _check_strong(secret: str, label: str) -> None:
    if chosen_secrets.is_weak(secret):
        raise ValueError(f"{label}: {chosen_secrets.WEAK}")


def seed_master_keys(said: Sequence[str], *, prune: bool = False) -> list[str]:
    """Accept these keys in place of those that the variable held before; what was done.

    Where none is said, those stay and are told, or are retired where `prune` says so. Must run in a
    transaction. A revoked or rotated key is not brought back. What is kept of a key that goes
    belongs to the new one that takes its place, in their order.
    """
    _lock(said)
    held = {secret: _held(secret) for secret in said}
    kept = [key for key in held.values() if key]
    left = _others(kept)
    replaced, names = iter(left), _free_names(kept)
    done: list[str] = []
    for label, secret in _labelled(said):
        key = held[secret]
        if key:
            done += [*_redigested(key, secret, label), *_revived(key, label)]
        else:
            done += _added(secret, label, next(names), next(replaced, None))
    _note_named(kept)
    done += _retired(left) if said or prune else _still_accepted(left)
    return [*done, *_without_access()]


def _lock(said: Sequence[str]) -> None:
    """All rows that may be written: those of these secrets, and those of the variable."""
    digests = [digest for secret in said for digest in secrets.digests(secret)]
    list(locked(ApiKey.objects.filter(OF_VARIABLE | Q(digest__in=digests))))


def _held(secret: str) -> ApiKey | None:
    """The row of this secret, the one under the newest keyring secret first."""
    digests = secrets.digests(secret)
    rows = ApiKey.objects.filter(digest__in=digests)
    return min(rows, key=lambda row: digests.index(row.digest), default=None)


def _others(kept: Sequence[ApiKey]) -> list[ApiKey]:
    """The keys that the variable held until now beside those of `kept`, the oldest first."""
    others = ApiKey.objects.filter(OF_VARIABLE).exclude(pk__in=[key.pk for key in kept])
    return list(others.order_by("created"))


def _free_names(kept: Sequence[ApiKey]) -> Iterator[str]:
    taken = {key.name for key in kept}
    numbered = (f"{VARIABLE} {number}" for number in count(2))
    return (name for name in chain([VARIABLE], numbered) if name not in taken)


def _added(secret: str, label: str, name: str, replaced: ApiKey | None) -> list[str]:
    owner = replaced.owner if replaced else uuid4()
    ApiKey.objects.register(secret, name=name, source=Source.ENV, owner=owner)
    return [f"{label}: added as a master key"]


def _redigested(key: ApiKey, secret: str, label: str) -> list[str]:
    """Tombstones too: else a revoked key would come back once the older secret is dropped."""
    newest = secrets.digests(secret)[0]
    if key.digest == newest:
        return []
    key.digest = newest
    key.save(update_fields=["digest"])
    return [f"{label}: its key is now kept under the newest secret of the keyring"]


def _revived(key: ApiKey, label: str) -> list[str]:
    if key.revoked:
        return [f"{label}: this key was revoked, so it is not usable; set another"]
    if key.successor_id:
        until = f"until {key.expires:%Y-%m-%d %H:%M} UTC" if key.usable else "no more"
        return [f"{label}: this key was rotated, so it is usable {until}; set its successor"]
    if key.expires and key.expires <= timezone.now():
        return [f"{label}: this key has expired, so it is not usable; set another"]
    return [*_unretired(key, label), *_of_another_kind(key, label)]


def _unretired(key: ApiKey, label: str) -> list[str]:
    if key.retired is None:
        return []
    key.retired = None
    key.save(update_fields=["retired"])
    return [f"{label}: its key had been retired and is accepted again"]


def _of_another_kind(key: ApiKey, label: str) -> list[str]:
    """What a person has made of it stays: a restart gives nobody more than that."""
    if key.kind == ApiKey.Kind.MASTER:
        return []
    return [
        f"{label}: this key is a {key.kind} key and stays one; its kind is changed in the admin"
    ]


def _retired(keys: Sequence[ApiKey]) -> list[str]:
    for key in keys:
        key.retired = timezone.now()
        key.save(update_fields=["retired"])
    return [f"key {key}: retired, since {VARIABLE} no longer holds it" for key in keys]


def _note_named(keys: Sequence[ApiKey]) -> None:
    """It changes no key, so neither the history nor the other processes hear of it."""
    ApiKey.objects.filter(pk__in=[key.pk for key in keys]).update(unnamed=None)


def _still_accepted(keys: Sequence[ApiKey]) -> list[str]:
    """Another process may have the variable, so this one ends nothing."""
    pks = [key.pk for key in keys]
    ApiKey.objects.filter(pk__in=pks, unnamed=None).update(unnamed=timezone.now())
    return [
        f"key {key}: still accepted, though {VARIABLE} is not set; it stays until it is revoked in"
        " the admin, or retired by `manage.py seed --prune`"
        for key in keys
    ]


def _without_access() -> list[str]:
    if ApiKey.objects.in_state("calling").exists():
        return []
    return [f"No key means no access: set {VARIABLE} or add a key in the admin."]
