"""Who may do what: a manager or master key everything but what `providers.key_rights` keeps from it,
a member of staff what the admin lets it do."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from providers.key_kinds import NO_MANAGEMENT
from providers.models import ApiKey


class KeyOrStaff(BasePermission):
    """A view names the Django permissions that its actions need in `needs`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, ApiKey):
            if not request.auth.may_manage:
                raise PermissionDenied(NO_MANAGEMENT)
            return True
        needs = getattr(view, "needs", {}).get(getattr(view, "action", None), ())
        return bool(request.user.is_staff) and request.user.has_perms(needs)
