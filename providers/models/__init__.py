"""What exists, as rows: a module by subject."""

from providers.models.aliases import Alias, AliasTarget, Policy, ResponseModel
from providers.models.fleet import Health, Lease, Plan, Process
from providers.models.keys import ApiKey, ApiKeyQuerySet
from providers.models.logins import LoginAttempts
from providers.models.providers import (
    SLUG,
    Discovery,
    ModelsMode,
    Passthrough,
    Provider,
    Translation,
    check_base_url,
    check_model_ids,
)
from providers.models.revision import Revision
from providers.models.roles import Role
from providers.models.sources import Source

__all__ = [
    "SLUG",
    "Alias",
    "AliasTarget",
    "ApiKey",
    "ApiKeyQuerySet",
    "Discovery",
    "Health",
    "Lease",
    "LoginAttempts",
    "ModelsMode",
    "Passthrough",
    "Plan",
    "Policy",
    "Process",
    "Provider",
    "ResponseModel",
    "Revision",
    "Role",
    "Source",
    "Translation",
    "check_base_url",
    "check_model_ids",
]
