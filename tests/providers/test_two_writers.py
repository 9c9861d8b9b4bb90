"""Two that change the same rows at once, one of them begun after any statement of the other: both
succeed, neither has to be made again, and nothing that either wrote is lost."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count, cycle
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from providers import catalog, consequences, discovery, key_use, login_history, login_waits, seeding
from providers.discovery import Outcome
from providers.models import Alias, AliasTarget, ApiKey, Discovery, LoginAttempts, Provider
from providers.probing import rows as probing
from providers.probing.outcomes import Track
from providers.probing.rows import Found
from providers.seeding import Seeds
from providers.seeding.wanted import Wanted
from tests.providers.admin_pages import LIST, page, provider, values
from tests.providers.api_client import ALIASES, MASTER, PROVIDERS, Api, master_key
from tests.providers.beside import WRITING, begun_after, locks

pytestmark = pytest.mark.django_db(transaction=True)
MOST_STATEMENTS = 30
NAMES = ("gpu-a", "gpu-b")


class Rig:
    """Rows that many write, and what writes them. A writer may be called again and again."""

    def __init__(self) -> None:
        master_key(MASTER)
        self.user = User.objects.create_superuser("admin")
        self.servers = [provider(name, base_url=f"http://{name}") for name in NAMES]
        self.numbers, self.switches = count(1), cycle(["drain", "take_calls"])
        self.spare = iter(range(10_000))
        for name in ("one", "two"):
            alias = Alias.objects.create(name=name)
            for tier, server in enumerate(NAMES, start=1):
                alias.targets.create(tier=tier, provider=server, model="m")

    @property
    def browser(self) -> Client:
        client = Client()
        client.force_login(self.user)
        return client

    def bulk_switch(self) -> None:
        """In another order than that of the primary keys."""
        chosen = sorted((row.pk for row in self.servers), reverse=True)
        action = {"action": next(self.switches), "_selected_action": chosen}
        action |= {"confirmed": consequences.of(set(chosen)).digest}
        answer = self.browser.post(LIST, action)
        assert answer.status_code in {302, 200}  # an alias was renamed: it asks once more

    def patch(self) -> None:
        weight = next(self.numbers)
        answer = Api(MASTER).patch(f"{PROVIDERS}/{NAMES[1]}", {"weight": weight})
        assert answer.status_code == 200

    def form(self) -> None:
        row = self.servers[1]
        sent = values(name=row.name, base_url=row.base_url, idle_seconds=next(self.numbers))
        assert self.browser.post(page(row), sent).status_code == 302

    def rename(self) -> None:
        """There, and the next time back."""
        before = Provider.objects.get(pk=self.servers[0].pk).name
        after = "gpu-d" if before == NAMES[0] else NAMES[0]
        answer = Api(MASTER).patch(f"{PROVIDERS}/{before}", {"name": after})
        assert answer.status_code in {200, 404}  # another has renamed it

    def retarget(self) -> None:
        for name in ("two", "one"):
            weight = next(self.numbers)
            targets = [
                {"tier": tier, "provider": server, "model": "m", "weight": weight}
                for tier, server in reversed(list(enumerate(NAMES, start=1)))
            ]
            answer = Api(MASTER).patch(f"{ALIASES}/{name}", {"targets": targets})
            assert answer.status_code == 200

    def delete_aliases(self) -> None:
        for name in ("a", "b"):
            spare = Alias.objects.create(name=f"{name}-{next(self.spare)}")
            spare.targets.create(provider=NAMES[0], model="m")
        chosen = [row.pk for row in Alias.objects.filter(name__contains="-")]
        action = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
        answer = self.browser.post("/admin/providers/alias/", action)
        assert answer.status_code == 302

    def delete_servers(self) -> None:
        rows = [provider(f"spare-{next(self.spare)}") for _ in range(2)]
        for row in rows:
            Discovery.objects.get_or_create(provider=row)
        chosen = [row.pk for row in Provider.objects.filter(name__startswith="spare")]
        action = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
        assert self.browser.post(LIST, action).status_code in {200, 302}

    def discover(self) -> None:
        for row in Provider.objects.order_by("-pk"):
            card = {"id": f"m-{next(self.numbers)}"}
            discovery.record(catalog.provider_entry(row), Outcome(True, "1 model.", (card,)))

    def probe(self) -> None:
        found = Found(Track(recovered=next(self.numbers)), timezone.now())
        probing.write({row.pk: found for row in Provider.objects.all()})

    def rotate_keys(self) -> None:
        keys = [ApiKey.objects.issue(f"k{next(self.spare)}")[0] for _ in range(2)]
        ids = [str(key.pk) for key in sorted(keys, key=lambda key: key.pk, reverse=True)]
        body = {"ids": ids, "overlap_seconds": 60}
        assert Api(MASTER).post("/api/keys/rotate", body).status_code == 201

    def use_keys(self) -> None:
        use = key_use.KeyUse()
        for key in ApiKey.objects.order_by("-pk"):
            use.note(key.pk)
        use.write()

    def seed(self) -> None:
        wanted = [
            Wanted(name=f"env-{number}", source="env", weight=next(self.numbers))
            for number in (1, 2)
        ]
        secret = f"a-master-key-of-the-variable-{next(self.numbers)}"
        seeding.write(Seeds(tuple(wanted), (secret, MASTER), ""))

    def log_in(self) -> None:
        tried = login_waits.subjects("somebody", "192.0.2.1", None)
        old = timezone.now() - timedelta(days=2)
        LoginAttempts.objects.create(pk=f"old {next(self.spare)}", last=old, until=old)
        with contextlib.suppress(login_waits.MustWait):  # the other is at it
            login_waits.begin(tried)
        login_waits.succeed(tried)
        login_history.record(login_history.FAILED, "somebody", "192.0.2.1")


PAIRS: list[tuple[Callable[[Rig], None], Callable[[Rig], None]]] = [
    (Rig.bulk_switch, Rig.patch),
    (Rig.bulk_switch, Rig.form),
    (Rig.bulk_switch, Rig.discover),
    (Rig.rename, Rig.retarget),
    (Rig.retarget, Rig.rename),
    (Rig.bulk_switch, Rig.rename),
    (Rig.retarget, Rig.retarget),
    (Rig.delete_aliases, Rig.rename),
    (Rig.delete_servers, Rig.discover),
    (Rig.delete_servers, Rig.probe),
    (Rig.rotate_keys, Rig.use_keys),
    (Rig.rotate_keys, Rig.seed),
    (Rig.seed, Rig.bulk_switch),
    (Rig.seed, Rig.seed),
    (Rig.log_in, Rig.log_in),
]


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.fixture(autouse=True)
def none_made_again(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "aurora.database"):
        yield
    assert [each.getMessage() for each in caplog.records if "gave way" in each.getMessage()] == []


def statements(work: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [query["sql"] for query in captured]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "-".join(each.__name__ for each in pair))
def test_neither_waits_for_the_other_in_a_circle(pair: Any, rig: Rig) -> None:
    first, second = pair
    first(rig)
    second(rig)
    longest = sum(map(locks, statements(lambda: first(rig))))

    assert longest > 1
    for number in range(1, min(longest, MOST_STATEMENTS) + 1):
        with begun_after(number, lambda: second(rig)):
            first(rig)

    assert Provider.objects.filter(pk__in=[row.pk for row in rig.servers]).count() == len(NAMES)
    assert AliasTarget.objects.filter(alias__name__in=["one", "two"]).count() == 2 * len(NAMES)


WRITERS = [
    Rig.bulk_switch,
    Rig.patch,
    Rig.form,
    Rig.rename,
    Rig.retarget,
    Rig.delete_aliases,
    Rig.delete_servers,
    Rig.discover,
    Rig.rotate_keys,
    Rig.seed,
]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_the_revision_is_the_last_that_a_change_writes(write: Any, rig: Rig) -> None:
    write(rig)
    done = statements(lambda: write(rig))
    written = [sql for sql in done if WRITING.search(sql) or sql == "COMMIT"]
    counted = [number for number, sql in enumerate(written) if "providers_revision" in sql]

    assert counted
    for number in counted:
        before, after = written[number - 1], written[number + 1 : number + 2]
        assert "providers_revision" not in before, "it is counted once"
        assert after in (["COMMIT"], []) or _is_of_the_test(before)


def _is_of_the_test(sql: str) -> bool:
    """A row made without a transaction around."""
    return "INSERT INTO" in sql
