"""The database goes away under load: no call fails, the admin says so, and all catches up."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.process.databases import Database
from tests.process.operators import Operator
from tests.process.running import Aurora
from tests.process.traffic import Traffic
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "0"))
"""How long the database is away at least. What is tested holds for any length: OUTAGE_SECONDS=600
for ten minutes, which no suite should take."""
LEAST_LOOKS = 3
MASTER_KEY = "sk-of-the-long-outage-0123456789"
PASSWORD = "the-password-of-the-operator"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
CALLERS = 4
MOST_GROWTH_KIB = 80 * 1024
PAGES = ("/", "/admin/", "/admin/login/", "/admin/providers/provider/", "/admin/auditlog/logentry/")
FAILS = "the admin and the management API answer 503, the database fails them"
CALLS_GO_ON = "the database fails, calls go on with what is known"
ISSUE = "from providers.models import ApiKey; print(ApiKey.objects.issue(name='elsewhere')[1])"


@dataclass
class Seen:
    """What one look at everything saw, each time during the outage."""

    rounds: int = 0
    refusal_seconds: list[float] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)


@pytest.fixture
def aurora(serve, vllm: ScriptedVllm) -> Aurora:
    vllm.routes = (
        "/v1/chat/completions",
    )  # so responses are translated, each with an id of its own
    started: Aurora = serve(
        AURORA_MASTER_KEY=MASTER_KEY,
        AURORA_ADMIN_PASSWORD=PASSWORD,
        AURORA_DISCOVERY_SECONDS="1",
        VLLM_BASE_URL=vllm.url,
    )
    eventually(lambda: started.get("/ready").is_success)
    return started


def assert_unavailable(answer: httpx.Response) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "database_unavailable"), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["retry-after"]) > 0


def health_of(aurora: Aurora) -> dict[str, Any]:
    """What the rows say of the provider."""
    listing = aurora.get("/api/providers", MASTER_KEY)
    assert listing.is_success, listing.text
    [row] = listing.json()["results"]
    return dict(row["health"])


def respond(aurora: Aurora) -> str:
    """The id of a response that is to be kept."""
    call = {"model": MODEL, "input": "Hello", "store": True}
    made = aurora.post("/v1/responses", MASTER_KEY, call)
    assert made.status_code == 200, made.text
    return str(made.json()["id"])


def stream(aurora: Aurora) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    call = {"model": MODEL, "messages": messages, "stream": True}
    streamed = aurora.post("/v1/chat/completions", MASTER_KEY, call)
    assert streamed.status_code == 200
    assert streamed.text.endswith("data: [DONE]\n\n")


def look(aurora: Aurora, operator: Operator, earlier: str, seen: Seen) -> None:
    """All that calls need is there, and all that needs rows says that there are none."""
    for path in PAGES:
        began = time.monotonic()
        assert_unavailable(operator.open(path))
        seen.refusal_seconds.append(time.monotonic() - began)
    assert_unavailable(aurora.get("/api/providers", MASTER_KEY))
    assert_unavailable(aurora.post("/api/keys", MASTER_KEY, {"name": "in vain"}))
    assert operator.open("/static/unfold/css/styles.css").status_code == 200
    assert [aurora.get(path).status_code for path in ("/health", "/ready")] == [200, 200]
    assert aurora.models(MASTER_KEY) == [MODEL]
    stream(aurora)
    lookup = aurora.get(f"/v1/responses/{earlier}", MASTER_KEY)
    assert (lookup.status_code, lookup.json()["error"]["code"]) == (503, "state_unavailable")
    seen.stored.append(respond(aurora))
    seen.rounds += 1


def pass_the_outage(
    aurora: Aurora, operator: Operator, traffics: list[Traffic], earlier: str
) -> Seen:
    """Until there was time for calls and for looks, and the process has noticed."""
    seen, end = Seen(), time.monotonic() + OUTAGE_SECONDS
    while seen.rounds < LEAST_LOOKS or time.monotonic() < end:
        look(aurora, operator, earlier, seen)
        for traffic in traffics:
            traffic.wait_for_more(2)  # the second has begun since
    eventually(lambda: told(aurora, CALLS_GO_ON))
    return seen


def told(aurora: Aurora, beginning: str) -> list[str]:
    return [line for line in aurora.messages("error") if line.startswith(beginning)]


def assert_caught_up(aurora: Aurora, before: dict[str, Any], ended: datetime) -> None:
    eventually(lambda: datetime.fromisoformat(health_of(aurora)["asked"]) > ended)
    now = health_of(aurora)
    assert (now["models"], now["error"]) == (before["models"], "")
    kept = respond(aurora)
    eventually(lambda: aurora.get(f"/v1/responses/{kept}", MASTER_KEY).is_success)


def test_the_admin_says_so_and_all_catches_up(aurora: Aurora, database: Database, orm) -> None:
    earlier, before = respond(aurora), health_of(aurora)
    with Operator(aurora.url, PASSWORD) as operator, ExitStack() as load:
        traffics = [
            load.enter_context(Traffic(aurora.url, MASTER_KEY, MODEL)) for _ in range(CALLERS)
        ]
        traffics[0].wait_for_more()
        memory_kib = aurora.resident_kib
        with database.gone():
            seen = pass_the_outage(aurora, operator, traffics, earlier)
            ended = datetime.now(UTC)
        grown_kib = aurora.resident_kib - memory_kib
        eventually(lambda: operator.open("/admin/").status_code == 200)
        secret = orm(ISSUE)
        eventually(lambda: aurora.chat(secret, MODEL).is_success)
        operator.add_key("after the outage")
        assert_caught_up(aurora, before, ended)
        for traffic in traffics:
            traffic.wait_for_more()

    calls = [call for traffic in traffics for call in traffic.calls]
    figures = {
        "calls": len(calls),
        "failed": sum(len(traffic.failed) for traffic in traffics),
        "slowest call, s": round(max(call.seconds for call in calls), 3),
        "looks": seen.rounds,
        "slowest refusal, s": round(max(seen.refusal_seconds), 3),
        "resident before, KiB": memory_kib,
        "grown by, KiB": grown_kib,
    }
    print(figures)  # with -rP or -s, for those who raised OUTAGE_SECONDS
    assert [traffic.failed for traffic in traffics] == [[]] * CALLERS
    assert grown_kib < MOST_GROWTH_KIB
    eventually(lambda: "the database answers again" in aurora.messages())
    for beginning in (FAILS, CALLS_GO_ON):
        assert len(told(aurora, beginning)) == 1, "one line for an outage, not one for each attempt"
    assert not any("exception" in line for line in aurora.lines)
    eventually(lambda: aurora.get(f"/v1/responses/{earlier}", MASTER_KEY).is_success)
    statuses = {aurora.get(f"/v1/responses/{id}", MASTER_KEY).status_code for id in seen.stored}
    assert statuses <= {200, 404}, "a copy may be lost, and costs nothing else"
