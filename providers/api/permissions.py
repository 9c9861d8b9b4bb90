"""Who may do what: a master key everything, a member of staff what the admin lets it do."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from providers.models import ApiKey


class MasterKeyOrStaff(BasePermission):
    """A view names the Django permissions that its actions need in `needs`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, ApiKey):
            return request.auth.kind == ApiKey.Kind.MASTER
        needs = getattr(view, "needs", {}).get(getattr(view, "action", None), ())
        return bool(request.user.is_staff) and request.user.has_perms(needs)
