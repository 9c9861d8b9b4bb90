"""AURORA_MASTER_KEY: the keys that it holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from auditlog.models import LogEntry
from django.utils import timezone

from aurora_site.keyring import Keyring
from providers import revision
from providers.models import ApiKey, Source
from providers.seeding import keys

pytestmark = pytest.mark.django_db

FIRST, SECOND, THIRD = "first-master-key-0001", "second-master-key-0002", "third-master-key-0003"
NO_ACCESS = "No key means no access: set AURORA_MASTER_KEY or add a key in the admin."


def key(secret: str) -> ApiKey:
    found = ApiKey.objects.holding(secret)
    assert found
    return found


def states() -> list[str]:
    return [row.state for row in ApiKey.objects.order_by("created")]


@pytest.mark.parametrize("secret", [FIRST, f" {FIRST}\r\n", "!~$x{}%0123456789"])
def test_a_key_is_taken_without_the_whitespace_around_it(secret):
    assert keys.master_keys({"AURORA_MASTER_KEY": secret}) == (secret.strip(),)


@pytest.mark.parametrize("secret", ["", " ", "\n", ",", "\ufeff"])
def test_nothing_is_no_key(secret):
    assert keys.master_keys({"AURORA_MASTER_KEY": secret}) == ()


@pytest.mark.parametrize(
    "text",
    [f"{FIRST},{SECOND}", f" {FIRST} , {SECOND},", f'"{FIRST}","{SECOND}"', f"{FIRST}\n{SECOND}"],
)
def test_several_keys_are_separated_by_commas_or_lines(text):
    assert keys.master_keys({"AURORA_MASTER_KEY": text}) == (FIRST, SECOND)


def test_of_several_keys_the_bad_one_is_named_by_its_place():
    with pytest.raises(ValueError, match="AURORA_MASTER_KEY, key 2: a key is made") as refusal:
        keys.master_keys({"AURORA_MASTER_KEY": f"{FIRST},hunter2 x"})
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "secret",
    ["hunter2 x", "hunter2\tx", "hunter2é", "hunter2\xa0x", "hunter2\x7f", "h\udcff"],
)
def test_a_key_that_cannot_be_sent_in_a_header_is_refused(secret):
    with pytest.raises(ValueError, match="AURORA_MASTER_KEY: a key is made of visible") as refusal:
        keys.master_keys({"AURORA_MASTER_KEY": secret})
    assert "hunter2" not in str(refusal.value)


def test_an_unexpanded_key_is_refused():
    with pytest.raises(ValueError, match="nothing expanded"):
        keys.master_keys({"AURORA_MASTER_KEY": "${AURORA_MASTER_KEY}"})


def test_a_new_key_is_added_once():
    assert keys.seed_master_keys([FIRST]) == ["AURORA_MASTER_KEY: added as a master key"]
    before = revision.current()

    assert keys.seed_master_keys([FIRST]) == []

    assert (key(FIRST).source, key(FIRST).kind, key(FIRST).state) == ("env", "master", "active")
    assert revision.current() == before


@pytest.mark.parametrize(
    "secret",
    [
        "a",
        "test",
        "changeme",
        "hunter2",
        "fifteen-letters",
        "a" * 64,
        "sk-1111111111111111",
        "changemechangeme",
        "1234567890123456",
        "password" * 8,
    ],
)
@pytest.mark.parametrize("number", [1, 2])
def test_a_key_that_may_be_guessed_stops_the_start_and_is_not_repeated(secret, number):
    label = "AURORA_MASTER_KEY" + (", key 2" if number == 2 else "")
    said = ",".join([FIRST] * (number - 1) + [secret])

    with pytest.raises(ValueError, match=f"{label}: it may be guessed: .* 16 char") as refusal:
        keys.master_keys({"AURORA_MASTER_KEY": said})

    if len(secret) > 1:
        assert secret not in str(refusal.value)
    assert "openssl rand -hex 32" in str(refusal.value)


@pytest.mark.parametrize(
    "secret", ["0123456789abcdef" * 2, "a1b2c3d4e5f6a7ba", "correct-horse-battery"]
)
def test_a_key_that_is_long_enough_is_taken(secret):
    assert keys.master_keys({"AURORA_MASTER_KEY": secret}) == (secret,)


def test_another_key_retires_the_one_before_and_it_may_come_back():
    keys.seed_master_keys([FIRST])

    assert keys.seed_master_keys([SECOND]) == [
        "AURORA_MASTER_KEY: added as a master key",
        "key AURORA_MASTER_KEY (…0001): retired, since AURORA_MASTER_KEY no longer holds it",
    ]
    assert states() == ["retired", "active"]

    assert keys.seed_master_keys([FIRST]) == [
        "AURORA_MASTER_KEY: its key had been retired and is accepted again",
        "key AURORA_MASTER_KEY (…0002): retired, since AURORA_MASTER_KEY no longer holds it",
    ]
    assert states() == ["active", "retired"]


def names() -> list[str]:
    return [str(key) for key in ApiKey.objects.usable().order_by("created")]


def test_two_keys_are_two_rows_with_names_of_their_own():
    assert keys.seed_master_keys([FIRST, SECOND]) == [
        "AURORA_MASTER_KEY, key 1: added as a master key",
        "AURORA_MASTER_KEY, key 2: added as a master key",
    ]
    assert names() == ["AURORA_MASTER_KEY (…0001)", "AURORA_MASTER_KEY 2 (…0002)"]
    assert key(FIRST).owner != key(SECOND).owner
    assert keys.seed_master_keys([SECOND, FIRST]) == []


def test_each_key_of_a_list_goes_by_itself_and_the_new_one_takes_its_place():
    keys.seed_master_keys([FIRST, SECOND])
    owner = key(FIRST).owner

    assert keys.seed_master_keys([SECOND, THIRD]) == [
        "AURORA_MASTER_KEY, key 2: added as a master key",
        "key AURORA_MASTER_KEY (…0001): retired, since AURORA_MASTER_KEY no longer holds it",
    ]
    assert names() == ["AURORA_MASTER_KEY 2 (…0002)", "AURORA_MASTER_KEY (…0003)"]
    assert key(THIRD).owner == owner

    keys.seed_master_keys([SECOND])
    assert states() == ["retired", "active", "retired"]


def test_a_key_beside_one_that_stays_owns_what_it_makes_alone():
    keys.seed_master_keys([FIRST])
    keys.seed_master_keys([FIRST, SECOND])

    assert key(FIRST).owner != key(SECOND).owner
    assert states() == ["active", "active"]


def test_an_unset_variable_retires_nothing_and_flags_the_key():
    keys.seed_master_keys([FIRST])
    before = (revision.current(), LogEntry.objects.count())

    [said] = keys.seed_master_keys([])

    assert said.startswith(
        "key AURORA_MASTER_KEY (…0001): still accepted, though AURORA_MASTER_KEY"
    )
    since = key(FIRST).unnamed
    assert (key(FIRST).state, bool(since)) == ("active", True)
    keys.seed_master_keys([])
    assert key(FIRST).unnamed == since
    assert (revision.current(), LogEntry.objects.count()) == before

    assert keys.seed_master_keys([FIRST]) == []
    assert key(FIRST).unnamed is None


def test_a_changed_variable_retires_what_a_start_without_it_has_left():
    keys.seed_master_keys([FIRST])
    keys.seed_master_keys([])

    keys.seed_master_keys([SECOND])

    assert states() == ["retired", "active"]
    assert key(FIRST).owner == key(SECOND).owner


def test_pruning_retires_what_an_unset_variable_held_and_says_that_nobody_has_access():
    keys.seed_master_keys([FIRST])

    retired, no_access = keys.seed_master_keys([], prune=True)

    assert retired.startswith("key AURORA_MASTER_KEY (…0001): retired")
    assert no_access == NO_ACCESS
    assert keys.seed_master_keys([], prune=True) == [NO_ACCESS]


def test_keys_of_the_admin_are_never_retired():
    _, secret = ApiKey.objects.issue("made in the admin")

    keys.seed_master_keys([FIRST])
    keys.seed_master_keys([], prune=True)

    assert key(secret).usable


def test_a_key_of_the_admin_may_stand_in_the_variable_and_stays_the_admins():
    _, secret = ApiKey.objects.issue("made in the admin", kind="master")

    assert keys.seed_master_keys([secret]) == []
    assert keys.seed_master_keys([], prune=True) == []
    assert (key(secret).source, key(secret).state) == (Source.ADMIN, "active")


@pytest.mark.parametrize("kind", ["client", "manager"])
def test_a_key_of_another_kind_gets_no_more_rights_by_standing_in_the_variable(kind):
    _, secret = ApiKey.objects.issue("made in the admin", kind=kind)

    [told, *_] = keys.seed_master_keys([secret])

    assert told == (
        f"AURORA_MASTER_KEY: this key is a {kind} key and stays one; its kind is changed in the admin"
    )
    assert key(secret).kind == kind


def test_a_manager_key_alone_gives_nobody_access_to_calls():
    ApiKey.objects.issue("for Terraform", kind="manager")

    assert keys.seed_master_keys([]) == [NO_ACCESS]


def test_a_revoked_key_is_not_brought_back():
    keys.seed_master_keys([FIRST])
    key(FIRST).revoke()
    before = revision.current()

    assert keys.seed_master_keys([FIRST]) == [
        "AURORA_MASTER_KEY: this key was revoked, so it is not usable; set another",
        NO_ACCESS,
    ]
    assert states() == ["revoked"]
    assert revision.current() == before


def test_a_revoked_key_is_not_retired():
    keys.seed_master_keys([FIRST])
    key(FIRST).revoke()

    keys.seed_master_keys([SECOND])

    assert key(FIRST).retired is None


def test_a_rotated_key_ends_with_its_overlap():
    keys.seed_master_keys([FIRST])
    _, successor = key(FIRST).rotate(timedelta(hours=1))

    (said,) = keys.seed_master_keys([FIRST])
    assert said.startswith("AURORA_MASTER_KEY: this key was rotated, so it is usable until 20")
    assert key(FIRST).state == "rotated"

    assert keys.seed_master_keys([successor]) == []
    assert key(FIRST).state == "rotated"

    ApiKey.objects.filter(pk=key(FIRST).pk).update(expires=timezone.now())
    (said,) = keys.seed_master_keys([FIRST])
    assert "is usable no more" in said
    assert key(FIRST).state == "expired"


def test_an_expired_key_is_told():
    keys.seed_master_keys([FIRST])
    ApiKey.objects.update(expires=timezone.now())

    assert keys.seed_master_keys([FIRST]) == [
        "AURORA_MASTER_KEY: this key has expired, so it is not usable; set another",
        NO_ACCESS,
    ]


@pytest.fixture
def keyring(settings):
    """Sets the keyring, as at a restart with another one."""

    def change(*held: str) -> None:
        settings.KEYRING = Keyring(held)

    return change


@pytest.mark.parametrize("revoked", [False, True])
def test_a_digest_moves_to_the_newest_secret_of_the_keyring(keyring, revoked):
    keyring("old" * 16)
    keys.seed_master_keys([FIRST])
    if revoked:
        key(FIRST).revoke()

    keyring("new" * 16, "old" * 16)
    said = keys.seed_master_keys([FIRST])

    assert (
        said[0] == "AURORA_MASTER_KEY: its key is now kept under the newest secret of the keyring"
    )
    keyring("new" * 16)
    assert keys.seed_master_keys([FIRST])[:1] != ["AURORA_MASTER_KEY: added as a master key"]
    assert states() == ["revoked" if revoked else "active"]


def test_a_key_known_under_two_secrets_of_the_keyring_is_no_crash(keyring):
    for secret in ("old" * 16, "new" * 16):
        keyring(secret)
        ApiKey.objects.register(FIRST, name="x", source=Source.ENV)

    keyring("new" * 16, "old" * 16)

    (said,) = keys.seed_master_keys([FIRST])
    assert said.endswith("retired, since AURORA_MASTER_KEY no longer holds it")
    assert states() == ["retired", "active"]
