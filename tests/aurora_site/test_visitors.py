"""Who makes a request of the admin or the management API, before its body is read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from aurora_site import visitors as door
from aurora_site.visitors import KNOWN_SECONDS, Visitors
from gateway.admission.visits import Visit, Visitor
from gateway.client import Request
from gateway.errors import DatabaseUnavailable, NotPermitted, Unauthorized
from providers import catalog as rows
from providers.catalog import Catalog
from providers.models import ApiKey
from tests.clock import Clock
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)
ADMIN, API = "/admin/providers/apikey/", "/api/keys"
STRANGER = Visit(Visitor.STRANGER, "192.0.2.7")


class Rig:
    def __init__(self, portal: BlockingPortal) -> None:
        self.catalog, self.clock = Catalog(rows.load()), Clock()
        self.visitors = Visitors(self.catalog, clock=self.clock)
        self._portal = portal

    def visit(self, method: str, path: str, *headers: tuple[str, str]) -> Visit:
        pairs = [(name.encode(), value.encode()) for name, value in headers]
        request = Request(method, path, path.encode(), b"", pairs, "1", "192.0.2.7")
        return self._portal.call(self.visitors.identify, request)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with start_blocking_portal() as portal:
        rig = Rig(portal)
        yield rig
        assert portal.call(rig.visitors.stop, PATIENCE_SECONDS)


@pytest.fixture
def session() -> tuple[str, str]:
    """The header that shows it."""
    browser = Client()
    browser.force_login(User.objects.create_user("ann", is_staff=True))
    name = settings.SESSION_COOKIE_NAME
    return "cookie", f"other=1; {name}={browser.cookies[name].value}"


def key(kind: str) -> tuple[str, str]:
    return "authorization", f"Bearer {ApiKey.objects.issue('of a program', kind=kind)[1]}"


def test_a_session_is_known_by_its_row_and_looked_up_once_a_minute(rig, session):
    assert rig.visit("GET", ADMIN) == STRANGER
    assert rig.visit("GET", ADMIN, session).visitor is Visitor.SESSION
    Session.objects.all().delete()
    assert rig.visit("GET", ADMIN, session).visitor is Visitor.SESSION
    rig.clock.let_pass(KNOWN_SECONDS)
    assert rig.visit("GET", ADMIN, session) == STRANGER


def test_a_session_of_nobody_is_a_strangers(rig):
    nobody = Client().session
    nobody["seen"] = "the login page"
    nobody.save()
    shown = "cookie", f"{settings.SESSION_COOKIE_NAME}={nobody.session_key}"

    assert rig.visit("POST", ADMIN, shown) == STRANGER
    assert (
        rig.visit("POST", ADMIN, ("cookie", f"{settings.SESSION_COOKIE_NAME}=x' OR 1")) == STRANGER
    )


def test_static_files_are_everybodys(rig, session):
    assert rig.visit("GET", "/static/unfold/css/styles.css", session) == STRANGER


@pytest.mark.parametrize("kind", ["manager", "master"])
def test_a_key_for_the_api_is_known_whether_the_catalog_has_it_or_not(rig, kind):
    shown = key(kind)
    assert rig.visit("POST", API, shown).owner == door.NEW_KEYS
    rig.catalog.publish(rows.load())
    assert rig.visit("POST", API, shown) == Visit(Visitor.KEY, str(ApiKey.objects.get().id))


def test_a_clients_key_brings_no_body_to_the_api(rig):
    shown = key("client")
    rig.catalog.publish(rows.load())

    assert rig.visit("GET", API, shown) == STRANGER
    with pytest.raises(NotPermitted):
        rig.visit("POST", API, shown)


def test_who_has_no_key_brings_no_body_to_the_api(rig, session):
    for shown in ((), (("x-api-key", "unknown"),), (("authorization", "Bearer unknown"), session)):
        assert rig.visit("GET", API, *shown) == STRANGER
        with pytest.raises(Unauthorized):
            rig.visit("POST", API, *shown)
    assert rig.visit("POST", API, session).visitor is Visitor.SESSION


@pytest.mark.parametrize(
    ("path", "is_urgent"),
    [
        ("/api/keys", False),
        ("/api/keys/revoke", True),
        ("/api/keys/0d2f0000-0000-0000-0000-000000000000/rotate", True),
        ("/api/keys/0d2f0000-0000-0000-0000-000000000000/revoke", True),
        ("/admin/providers/apikey/0d2f0000-0000-0000-0000-000000000000/revoke/", True),
        ("/admin/providers/apikey/revoke-selected/", True),
        ("/admin/providers/apikey/0d2f0000-0000-0000-0000-000000000000/change/", False),
    ],
)
def test_revoking_and_rotating_are_urgent(rig, session, path, is_urgent):
    assert rig.visit("POST", path, session).is_urgent is is_urgent
    assert not rig.visit("GET", path, session).is_urgent
    if path.startswith("/admin"):
        assert not rig.visit("POST", path).is_urgent


@contextlib.contextmanager
def without_sessions() -> Iterator[None]:
    """Nobody's session can be read."""
    name = Session._meta.db_table
    with connection.schema_editor() as editor:
        editor.alter_db_table(Session, name, f"{name}_away")
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(Session, f"{name}_away", name)


def test_while_the_database_fails_nobody_new_is_known_and_no_body_is_taken(rig, session):
    with without_sessions():
        assert rig.visit("GET", ADMIN, session) == STRANGER
        with pytest.raises(DatabaseUnavailable):
            rig.visit("POST", ADMIN, session)
    assert rig.visit("GET", ADMIN, session).visitor is Visitor.SESSION
