"""Who makes a request of the admin or the management API, known before its body is read.

It decides only how much may be sent and who waits for whom: whether the request may do what it asks
for, Django decides from its rows as ever.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from aurora_site.shares import subscriber
from gateway.admission import heads
from gateway.admission.places import Places
from gateway.admission.visits import Visit, Visitor, stranger
from gateway.auth import usable_keys
from gateway.client import Request
from gateway.errors import (
    DatabaseUnavailable,
    NotPermitted,
    NotReady,
    StateUnavailable,
    Unauthorized,
)
from gateway.state.lane import Lane
from providers import key_headers, key_kinds
from providers.catalog import Catalog
from providers.models import ApiKey

KNOWN_SECONDS = 60.0
"""How long a session that was found keeps the places of those who have logged in. One that has ended
since still opens nothing."""
MOST_KNOWN = 1000
LOOKUP_SECONDS = 2.0
THREADS = 2
MOST_LOOKUPS = 100
"""That wait; then those of the address that has most of them are not made."""
NEW_KEYS = "keys that the catalog does not know yet"
_SESSION = re.compile(r"[0-9a-z]{8,64}")
_REVOKING = re.compile(
    r"/api/keys/(?:[^/]+/)?(?:revoke|rotate)/?"
    r"|/admin/providers/apikey/(?:[^/]+/(?:revoke|rotate)|revoke-selected|rotate-selected)/"
)


class Visitors:
    """Knows keys by the catalog, and sessions and newer keys by their rows, looked up on threads of
    its own. It belongs to one event loop."""

    def __init__(self, catalog: Catalog, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog, self._clock = catalog, clock
        self._known: OrderedDict[str, float] = OrderedDict()
        self._rows = Lane(
            "aurora-visitors", threads=THREADS, waiting=THREADS, seconds=LOOKUP_SECONDS, logs=False
        )
        self._turns = Places(
            THREADS, most_waiting=MOST_LOOKUPS, most_waiting_seconds=LOOKUP_SECONDS
        )
        self._is_well, self._is_trying = True, False

    async def identify(self, request: Request) -> Visit:
        """Raises Unauthorized or NotPermitted where a body is announced to the management API without
        a session or a key for it; DatabaseUnavailable where that cannot be looked up."""
        if request.path.startswith("/static/"):
            return stranger(request)
        is_api = request.path == "/api" or request.path.startswith("/api/")
        if is_api and key_headers.is_shown(request.headers):
            return await self._by_key(request)
        visit = await self._by_session(request)
        if is_api and visit.visitor is Visitor.STRANGER and request.announces_body:
            raise Unauthorized(key_headers.why_none(request.headers))
        return visit

    async def stop(self, seconds: float) -> bool:
        """End the threads of the look-ups. Whether they have ended in time."""
        return await self._rows.stop(seconds)

    async def _by_key(self, request: Request) -> Visit:
        shown = key_headers.secrets(request.headers)
        known = usable_keys(shown, self._catalog.current())
        for key in known:
            if key.may_manage:
                return _good(Visitor.KEY, str(key.id), request)
        if shown and not known and await self._found(request, _is_a_key, shown):
            return _good(Visitor.KEY, NEW_KEYS, request)
        if not request.announces_body:
            return stranger(request)
        if known:
            raise NotPermitted(key_kinds.NO_MANAGEMENT)
        raise Unauthorized(key_headers.UNKNOWN if shown else key_headers.why_none(request.headers))

    async def _by_session(self, request: Request) -> Visit:
        session = _session_of(request)
        if session is None:
            return stranger(request)
        owner = sha256(session.encode()).hexdigest()
        if self._known.get(owner, 0.0) > self._clock():
            return _good(Visitor.SESSION, owner, request)
        if not await self._found(request, _is_logged_in, session):
            return stranger(request)
        self._known[owner] = self._clock() + KNOWN_SECONDS
        self._known.move_to_end(owner)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return _good(Visitor.SESSION, owner, request)

    async def _found(self, request: Request, look: Callable[[Any], bool], shown: object) -> bool:
        """Whether the rows have it. While they cannot be read, one request at a time tries, and what
        brings no body is nobody's: Django's part tells of the outage."""
        if self._is_well or not self._is_trying:
            self._is_trying = True
            try:
                async with self._turns.place(subscriber(request.client)):
                    is_found = await self._rows.run(look, shown)
            except NotReady:
                pass  # others come with cookies or keys that are none
            except StateUnavailable:
                self._is_well = False
            else:
                self._is_well = True
                return is_found
            finally:
                self._is_trying = False
        if request.announces_body:
            raise DatabaseUnavailable(
                "The database does not answer, so nobody is known here. Try again soon."
            )
        return False


def _good(visitor: Visitor, owner: str, request: Request) -> Visit:
    is_urgent = request.method == "POST" and _REVOKING.fullmatch(request.path) is not None
    return Visit(visitor, owner, is_urgent)


def _session_of(request: Request) -> str | None:
    """What could be a session's key, in the cookie of its name."""
    shown = heads.cookie(request.headers, settings.SESSION_COOKIE_NAME)
    return shown if _SESSION.fullmatch(shown) else None


def _is_logged_in(session: str) -> bool:
    return SESSION_KEY in SessionStore(session).load()


def _is_a_key(shown: list[str]) -> bool:
    """Of any kind: what a new key may, Django's part says."""
    return any(ApiKey.objects.usable().holding(secret) for secret in shown)
