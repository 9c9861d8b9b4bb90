"""Where a call goes: selector + snapshot -> a pool; pool + what is seen of its servers + the call
-> its ways, best first. Pure."""

from gateway.routing.affinity import Session, session
from gateway.routing.choosing import POLICIES, Choice, fair_calls, order, strain, strains
from gateway.routing.pools import Pool, Pools, Settings, Tier, Way, pool
from gateway.routing.selectors import Target, alias_of, route, tiers, unnamed, unsupported

__all__ = [
    "POLICIES",
    "Choice",
    "Pool",
    "Pools",
    "Session",
    "Settings",
    "Target",
    "Tier",
    "Way",
    "alias_of",
    "fair_calls",
    "order",
    "pool",
    "route",
    "session",
    "strain",
    "strains",
    "tiers",
    "unnamed",
    "unsupported",
]
