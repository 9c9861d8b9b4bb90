"""What the history records: every change of a provider, key, alias, user or group, with values
before and after.

Sealed values and passwords are shown as set or not; digests, owners and use are left out.
"""

from __future__ import annotations

from auditlog.registry import auditlog
from django.contrib.auth.models import Group, User

from providers.models import Alias, AliasTarget, ApiKey, Provider


def redacted(value: str) -> str:
    """What stands in the history for a secret's value."""
    return "(set)" if value and value != "None" else "(none)"


def register() -> None:
    auditlog.register(
        Provider,
        exclude_fields=["created", "field_sources", "seeded_as", "unnamed"],
        mask_fields=["sealed_api_key"],
        mask_callable="providers.audit.redacted",
    )
    auditlog.register(ApiKey, exclude_fields=["created", "digest", "last_used", "owner", "unnamed"])
    auditlog.register(Alias, exclude_fields=["created"])
    auditlog.register(AliasTarget)
    auditlog.register(
        User,
        exclude_fields=["last_login", "date_joined"],
        mask_fields=["password"],
        mask_callable="providers.audit.redacted",
        m2m_fields={"groups", "user_permissions"},
    )
    auditlog.register(Group, m2m_fields={"permissions"})
