"""What an operator's edit does to a row, whichever door it comes through: the admin or the API."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from django.utils import timezone

from providers import addresses, alias_edits, names, secrets
from providers.models import Provider, Source
from providers.transactions import edit

SETTINGS = (
    "enabled",
    "models_mode",
    "model_ids",
    "passthrough",
    "translation",
    "weight",
    "max_concurrency",
    "draining",
    "repeats_after_timeout",
    "connect_seconds",
    "first_byte_seconds",
    "idle_seconds",
)
"""Columns that the admin and the management API have alike, in this order."""
EDITABLE = ("name", "type", "base_url", "sealed_api_key", *SETTINGS)


@edit()
def save(provider: Provider) -> bool:
    """Save what has changed of an edited row that is locked. Whether it ended the row's following.

    The targets of aliases that name it follow a new name.
    Its base URL must be normalised already: a URL written otherwise would count as a change. A
    stored key stays behind where the origin of the URL is another, unless it was put anew.
    """
    held = Provider.objects.get(pk=provider.pk)
    if _keeps_key_of_another_origin(provider, held):
        provider.sealed_api_key = ""
    changed = [name for name in EDITABLE if getattr(held, name) != getattr(provider, name)]
    if not changed:
        return False
    detaches = held.source != Source.ADMIN and not held.detached
    if detaches:
        provider.detached = timezone.now()
        provider.unnamed = {}
        changed += ["detached", "unnamed"]
    if held.name != provider.name and held.seeded_name:
        provider.seeded_as = held.seeded_name  # its source goes on knowing it
        changed.append("seeded_as")
    provider.save(update_fields=changed)
    if held.name != provider.name:
        alias_edits.rename_provider(held.name, provider.name)
    return detaches


KEY_STAYS_BEHIND = (
    "The stored API key was for another address and is removed: it is sent to a new scheme, host or"
    " port only if it is given again."
)


def clone(provider: Provider, name: str = "") -> Provider:
    """A copy of `provider`, saved: under `name`, else under a free one; with its key, if that can
    be opened; and disabled, since it would get the same server's calls twice."""
    copy = Provider(**{field: getattr(provider, field) for field in EDITABLE})
    taken = set(Provider.objects.values_list("name", flat=True))
    copy.name = name or names.of_copy(provider.name, taken)
    copy.enabled = copy.draining = False
    copy.api_key = stored_key(provider) or ""
    copy.save()
    return copy


def follow(provider: Provider) -> bool:
    """Give a row back to the environment or YAML file that it came from. Whether it was detached."""
    if not provider.detached:
        return False
    provider.detached = None
    provider.save(update_fields=["detached"])
    return True


def put_key(provider: Provider, key: str) -> None:
    """Put `key` on the row, "" for none; the sealed value stays as it is if it holds that key and
    was stored for the origin of the row's URL, which must be the new one already."""
    held = Provider.objects.filter(pk=provider.pk).first()
    moves = held is not None and _keeps_key_of_another_origin(provider, held)
    if moves or key != stored_key(provider):
        provider.api_key = key


def _keeps_key_of_another_origin(provider: Provider, held: Provider) -> bool:
    """Whoever may edit a server, and not read its key, must not send the key elsewhere."""
    return provider.sealed_api_key == held.sealed_api_key != "" and not addresses.same_origin(
        provider.base_url, held.base_url
    )


def stored_key(provider: Provider) -> str | None:
    """The stored key; None where it cannot be opened."""
    try:
        return provider.api_key
    except secrets.Unopenable:
        return None


def check_key(value: str) -> None:
    try:
        secrets.check_upstream_key(value)
    except ValueError as error:
        text = str(error)
        raise ValidationError(f"{text[:1].upper()}{text[1:]}.") from None


def check_is_to_come(value: datetime | None) -> None:
    if value and value <= timezone.now():
        raise ValidationError("That is past. To end a key now, revoke it.")
