"""Which Aurora this is, to others: a short id that all processes of an installation share."""

from __future__ import annotations

from django.conf import settings

from aurora_site.keyring import Keyring

ID_CHARACTERS = 24


def ids() -> tuple[str, ...]:
    """The id, then those under older secrets of the keyring: processes that still run with an
    older keyring go by one of these. They tell nothing of the secrets."""
    keyring: Keyring = settings.KEYRING
    return tuple(key[:ID_CHARACTERS] for key in keyring.derived_texts("hop"))
