"""Who may do what to which key: the rules by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from providers import key_rights
from providers.key_rights import ISSUE_MANAGER, ISSUE_MASTER, TAKE_OVER, NotAllowed, Rights, Subject

KINDS = ("client", "manager", "master")
OWN = UUID(int=1)
SOON, LATER = (datetime(2031, 1, day, tzinfo=UTC) for day in (1, 2))


def key(kind: str, expires: datetime | None = None) -> Rights:
    return key_rights.of_key(OWN, kind, expires)


def person(*permissions: str) -> Rights:
    return key_rights.of_person(lambda permission: permission in permissions)


def subject(kind: str, expires: datetime | None = None, id: UUID | None = None) -> Subject:
    return Subject(id or uuid4(), kind, expires)


def allowed(check, *arguments) -> bool:
    try:
        check(*arguments)
    except NotAllowed:
        return False
    return True


WHO = [
    (key("manager"), {"client", "manager"}),
    (key("master"), set(KINDS)),
    (key("client"), set[str]()),
    (key("of another release"), set[str]()),
    (person(), {"client"}),
    (person(ISSUE_MANAGER), {"client", "manager"}),
    (person(ISSUE_MASTER), set(KINDS)),
]


@pytest.mark.parametrize(("rights", "kinds"), WHO)
def test_nobody_issues_changes_or_rotates_a_kind_beyond_his_own(rights, kinds):
    for kind in KINDS:
        assert allowed(rights.check_issue, kind, None) == (kind in kinds)
        assert allowed(rights.check_rotate, subject(kind), None) == (kind in kinds)
        for other in KINDS:
            may = {kind, other} <= kinds
            assert allowed(rights.check_change, subject(kind), other, None) == may


@pytest.mark.parametrize("kind", ["manager", "master"])
def test_no_key_changes_or_rotates_itself(kind):
    own = subject(kind, SOON, OWN)

    assert not allowed(key(kind, SOON).check_change, own, kind, SOON)
    assert not allowed(key(kind, SOON).check_change, own, kind, LATER)
    assert not allowed(key(kind, SOON).check_rotate, own, SOON)


@pytest.mark.parametrize("expires", [LATER, None])
def test_no_key_makes_one_that_manages_and_lives_longer(expires):
    rights = key("master", SOON)

    for kind in ("manager", "master"):
        assert not allowed(rights.check_issue, kind, expires)
        assert not allowed(rights.check_rotate, subject(kind, SOON), expires)
        assert not allowed(rights.check_change, subject(kind, SOON), kind, expires)
        assert not allowed(rights.check_change, subject("client", expires), kind, expires)
        assert allowed(rights.check_issue, kind, SOON)
        assert allowed(rights.check_rotate, subject(kind, expires), SOON)
    assert allowed(rights.check_issue, "client", expires)
    assert allowed(rights.check_rotate, subject("client", SOON), expires)


def test_what_does_not_lengthen_another_keys_life_is_no_matter_of_ones_own():
    rights = key("master", SOON)

    assert allowed(rights.check_change, subject("manager", None), "manager", None)
    assert allowed(rights.check_change, subject("master", None), "manager", LATER)
    assert allowed(rights.check_change, subject("manager", LATER), "client", None)


def test_a_manager_key_revokes_no_master_key_and_a_person_any():
    for kind in KINDS:
        assert allowed(key("manager").check_revoke, subject(kind)) == (kind != "master")
        assert allowed(key("master").check_revoke, subject(kind))
        assert allowed(person().check_revoke, subject(kind))


def test_who_reads_on_what_a_rotated_key_stored():
    assert [each.keeps_stored for each in (key("manager"), key("master"))] == [False, True]
    assert [each.keeps_stored for each in (person(ISSUE_MASTER), person(TAKE_OVER))] == [
        False,
        True,
    ]


def test_a_refusal_says_until_when_a_key_may_live():
    with pytest.raises(NotAllowed, match=r"2031-01-01T00:00:00Z: set an earlier `expires`"):
        key("manager", SOON).check_issue("manager", SOON + timedelta(seconds=1))
