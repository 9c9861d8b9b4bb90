"""The ready-made roles Viewer, Operator and Key manager: groups of the admin with permissions.

After each migration a role is given what it was never given before: all of it at first, later what
a new release adds. Whatever somebody has taken away, renamed or deleted stays so.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models.signals import post_migrate

from providers.names import free

VIEWER = (
    "providers.view_provider",
    "providers.view_alias",
    "providers.view_aliastarget",
    "providers.view_apikey",
    "auditlog.view_logentry",
)
OPERATOR = (
    *VIEWER,
    "providers.add_provider",
    "providers.change_provider",
    "providers.delete_provider",
    "providers.add_alias",
    "providers.change_alias",
    "providers.delete_alias",
    "providers.add_aliastarget",
    "providers.change_aliastarget",
    "providers.delete_aliastarget",
)
KEY_MANAGER = ("providers.view_apikey", "providers.add_apikey", "providers.change_apikey")
ROLES = {"Viewer": VIEWER, "Operator": OPERATOR, "Key manager": KEY_MANAGER}


def connect(config: AppConfig) -> None:
    post_migrate.connect(_migrated, sender=config, dispatch_uid="ready-made roles")


def establish(apps: Any) -> None:
    """Make the roles that were never made, and give each what it was never given."""
    for name, permissions in ROLES.items():
        with transaction.atomic():
            _establish(apps, name, permissions)


def _migrated(apps: Any, using: str, **_: Any) -> None:
    """`apps` are as the last migration left them, which may be before there were roles."""
    try:
        apps.get_model("providers", "Role")
    except LookupError:
        return
    if using == DEFAULT_DB_ALIAS:
        establish(apps)


def _establish(apps: Any, name: str, permissions: tuple[str, ...]) -> None:
    role, is_new = apps.get_model("providers", "Role").objects.get_or_create(name=name)
    if is_new:
        role.group = _new_group(apps, name)
    if role.group is None:
        return
    fresh = {label: pk for label, pk in _known(apps, permissions) if label not in role.granted}
    if fresh or is_new:
        role.group.permissions.add(*fresh.values())
        role.granted = sorted([*role.granted, *fresh])
        role.save()


def _new_group(apps: Any, name: str) -> Any:
    """Another name where a group of somebody's own has this one: it is not ours to give rights to."""
    groups = apps.get_model("auth", "Group").objects
    taken = set(groups.values_list("name", flat=True))
    return groups.create(name=free([name, f"{name} (Aurora)"], taken))


def _known(apps: Any, permissions: tuple[str, ...]) -> list[tuple[str, int]]:
    """Those of the permissions that the database has, with their keys."""
    rows = apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label__in={label.split(".")[0] for label in permissions}
    )
    held = {
        f"{row.content_type.app_label}.{row.codename}": row.pk
        for row in rows.select_related("content_type")
    }
    return [(label, held[label]) for label in permissions if label in held]
