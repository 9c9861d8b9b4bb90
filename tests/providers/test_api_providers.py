"""Providers over the management API: what the admin does, without a page."""

from __future__ import annotations

from typing import Any

import pytest
from auditlog.models import LogEntry
from django.utils import timezone

from providers import revision
from providers.models import Discovery, Process, Provider
from tests.providers.admin_pages import UPSTREAM_KEY, found, probed, process, provider, report, text
from tests.providers.api_client import MASTER, PROVIDERS, Api, master_key, refusal
from tests.scripted_vllm import ScriptedVllm

pytestmark = pytest.mark.django_db
HERE = f"{PROVIDERS}/vllm"
NEW = {"name": "gpu-1.lab", "base_url": "http://gpu-1:8000"}
DEFAULTS = {
    "name": "gpu-1.lab",
    "type": "vllm",
    "base_url": "http://gpu-1:8000/v1",
    "has_api_key": False,
    "enabled": True,
    "models_mode": "discover",
    "model_ids": [],
    "passthrough": "inference",
    "translation": "auto",
    "weight": 1.0,
    "max_concurrency": None,
    "draining": False,
    "repeats_after_timeout": False,
    "connect_seconds": 5.0,
    "first_byte_seconds": 600.0,
    "idle_seconds": 300.0,
    "source": "admin",
    "detached": None,
    "unnamed": {},
    "in_flight": 0,
    "health": {
        "state": "unknown",
        "reason": "Not probed yet.",
        "since": None,
        "running": None,
        "waiting": None,
        "models": [],
        "routes": None,
        "asked": None,
        "answered": None,
        "error": "",
    },
}


@pytest.fixture
def api() -> Api:
    master_key()
    return Api(MASTER)


def test_a_server_is_added_with_a_name_and_an_address(api: Api) -> None:
    before = revision.current()

    answer = api.post(PROVIDERS, NEW)

    shown = answer.json()
    assert answer.status_code == 201
    assert shown.pop("created")
    assert shown == DEFAULTS
    assert revision.current() > before
    assert api.get(f"{PROVIDERS}/gpu-1.lab").json()["name"] == "gpu-1.lab"


def test_every_member_can_be_given(api: Api) -> None:
    given = {
        **NEW,
        "enabled": False,
        "models_mode": "allowlist",
        "model_ids": ["meta-llama/Llama-3.1-8B"],
        "passthrough": "off",
        "translation": "always",
        "weight": 2,
        "max_concurrency": 64,
        "draining": True,
        "repeats_after_timeout": True,
        "connect_seconds": 1,
        "first_byte_seconds": 2.5,
        "idle_seconds": 3,
        "type": "vllm",
    }

    shown = api.post(PROVIDERS, {**given, "api_key": UPSTREAM_KEY}).json()

    assert shown["has_api_key"] is True
    assert shown | given | {"base_url": "http://gpu-1:8000/v1"} == shown
    assert Provider.objects.get().api_key == UPSTREAM_KEY


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"name": None}, "name"),
        ({"name": "Capital"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "x" * 64}, "name"),
        ({"base_url": "ftp://a"}, "base_url"),
        ({"base_url": "http://user:hunter2-secret@a"}, "base_url"),
        ({"base_url": "http://a:0"}, "base_url"),
        ({"base_url": 5}, "base_url"),
        ({"type": "sglang"}, "type"),
        ({"models_mode": "some"}, "models_mode"),
        ({"models_mode": "allowlist"}, "model_ids"),
        ({"model_ids": ["a", "a"]}, "model_ids"),
        ({"model_ids": [" a"]}, "model_ids"),
        ({"model_ids": "a"}, "model_ids"),
        ({"model_ids": [{"id": "a"}]}, "model_ids.0"),
        ({"model_ids": None}, "model_ids"),
        ({"passthrough": True}, "passthrough"),
        ({"translation": "native"}, "translation"),
        ({"translation": None}, "translation"),
        ({"routes": []}, "routes"),
        ({"enabled": "perhaps"}, "enabled"),
        ({"weight": 0}, "weight"),
        ({"weight": 1001}, "weight"),
        ({"weight": "2"}, "weight"),
        ({"weight": "nan"}, "weight"),
        ({"weight": None}, "weight"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_concurrency": -1}, "max_concurrency"),
        ({"max_concurrency": 1_000_001}, "max_concurrency"),
        ({"max_concurrency": 10**18}, "max_concurrency"),
        ({"max_concurrency": 1.5}, "max_concurrency"),
        ({"max_concurrency": "5"}, "max_concurrency"),
        ({"max_concurrency": True}, "max_concurrency"),
        ({"draining": "perhaps"}, "draining"),
        ({"draining": None}, "draining"),
        ({"repeats_after_timeout": 2}, "repeats_after_timeout"),
        ({"connect_seconds": 0}, "connect_seconds"),
        ({"first_byte_seconds": "nan"}, "first_byte_seconds"),
        ({"idle_seconds": 86_401}, "idle_seconds"),
        ({"idle_seconds": 10**300}, "idle_seconds"),
        ({"idle_seconds": True}, "idle_seconds"),
        ({"api_key": "hunter2-secret\n"}, "api_key"),
        ({"api_key": "hunter2-secret é"}, "api_key"),
        ({"api_key": "hunter2-secret" * 400}, "api_key"),
        ({"api_key": ["hunter2-secret"]}, "api_key"),
        ({"apikey": "hunter2-secret"}, "apikey"),
        ({"source": "env"}, "source"),
        ({"sealed_api_key": "hunter2-secret"}, "sealed_api_key"),
        ({"health": {}}, "health"),
        ({"in_flight": 0}, "in_flight"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_member(
    api: Api, changes: Any, param: str
) -> None:
    provider(key=UPSTREAM_KEY)

    for answer in (api.post(PROVIDERS, {**NEW, **changes}), api.patch(HERE, changes)):
        assert answer.status_code == 400
        assert refusal(answer)["param"] == param
        assert param in refusal(answer)["message"]
        assert "hunter2-secret" not in text(answer)
    assert Provider.objects.get().api_key == UPSTREAM_KEY
    assert not LogEntry.objects.filter(action=LogEntry.Action.UPDATE).exists()


@pytest.mark.parametrize("method", ["post", "patch"])
def test_a_name_that_is_taken_is_a_conflict(api: Api, method: str) -> None:
    provider()
    provider("gpu-1.lab")
    path = PROVIDERS if method == "post" else HERE

    answer = getattr(api, method)(path, NEW)

    assert answer.status_code == 409
    assert refusal(answer)["param"] == "name"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({}, UPSTREAM_KEY),
        ({"enabled": False}, UPSTREAM_KEY),
        ({"api_key": None}, ""),
        ({"api_key": ""}, ""),
        ({"api_key": "another"}, "another"),
    ],
)
def test_the_stored_key_is_kept_unless_it_is_named(api: Api, sent: Any, kept: str) -> None:
    provider(key=UPSTREAM_KEY)

    answer = api.patch(HERE, sent)

    assert answer.status_code == 200
    assert answer.json()["has_api_key"] is bool(kept)
    assert Provider.objects.get().api_key == kept


def test_a_key_that_cannot_be_opened_is_entered_again_or_removed(api: Api) -> None:
    made = provider()
    for sent in ("another", None):
        Provider.objects.filter(pk=made.pk).update(sealed_api_key="bm90IHNlYWxlZA==")
        assert api.get(HERE).json()["has_api_key"] is True

        assert api.patch(HERE, {"api_key": sent}).status_code == 200

        assert Provider.objects.get().api_key == (sent or "")


def test_the_stored_key_is_in_no_answer_and_not_in_the_history(
    api: Api, vllm: ScriptedVllm
) -> None:
    vllm.required_key = UPSTREAM_KEY
    made = api.post(PROVIDERS, {**NEW, "base_url": vllm.url, "api_key": UPSTREAM_KEY})
    path = f"{PROVIDERS}/gpu-1.lab"
    answers = [
        made,
        api.get(PROVIDERS),
        api.get(path),
        api.post(f"{path}/test"),
        api.post(f"{path}/refresh"),
        api.patch(path, {"api_key": UPSTREAM_KEY + "2"}),
        api.patch(path, {"api_key": UPSTREAM_KEY, "idle_seconds": 0}),
        api.post(f"{path}/follow"),
    ]

    sealed = Provider.objects.get().sealed_api_key
    shown = "".join(map(text, answers)) + str([vars(e) for e in LogEntry.objects.all()])
    assert UPSTREAM_KEY not in shown
    assert sealed not in shown
    assert "(set)" in shown


def test_an_edit_detaches_a_row_and_following_takes_that_back(api: Api) -> None:
    provider(source="env")

    assert api.patch(HERE, {"enabled": True}).json()["detached"] is None
    assert api.patch(HERE, {"base_url": "http://gpu-1:8000/"}).json()["detached"] is None
    assert api.patch(HERE, {"translation": "auto"}).json()["detached"] is None
    assert api.patch(HERE, {"enabled": False}).json()["detached"]
    assert api.post(f"{HERE}/follow").json()["detached"] is None
    assert not Provider.objects.get().enabled


def test_an_edit_that_changes_nothing_is_not_recorded(api: Api) -> None:
    provider(key=UPSTREAM_KEY)
    before = revision.current()

    api.patch(HERE, {"api_key": UPSTREAM_KEY, "enabled": True})

    assert revision.current() == before


def test_how_calls_are_translated_is_changed_alone(api: Api) -> None:
    provider(source="env")

    answer = api.patch(HERE, {"translation": "always"}).json()

    assert (answer["translation"], bool(answer["detached"])) == ("always", True)
    assert Provider.objects.get().translation == "always"


def test_what_routing_goes_by_is_an_edit_and_a_limit_can_be_taken_off(api: Api) -> None:
    provider(source="env", max_concurrency=8)
    changes = {"weight": 0.5, "draining": True, "repeats_after_timeout": True}

    answer = api.patch(HERE, {**changes, "max_concurrency": None}).json()

    assert answer | changes | {"max_concurrency": None} == answer
    assert answer["detached"]
    row = Provider.objects.get()
    assert (row.weight, row.max_concurrency) == (0.5, None)
    assert (row.draining, row.repeats_after_timeout) == (True, True)


def test_a_server_is_renamed_and_removed(api: Api) -> None:
    provider()

    assert api.patch(HERE, {"name": "gpu-2"}).json()["name"] == "gpu-2"
    assert api.get(HERE).status_code == 404
    answer = api.delete(f"{PROVIDERS}/gpu-2")

    assert (answer.status_code, answer.content) == (204, b"")
    assert not Provider.objects.exists()


def test_the_list_shows_what_discovery_found(api: Api) -> None:
    found(provider(), "a", "b/c", error="It is down.")
    provider("another")

    first, second = api.get(PROVIDERS).json()["results"]

    assert first["health"] == DEFAULTS["health"]
    assert second["health"]["models"] == ["a", "b/c"]
    assert second["health"]["error"] == "It is down."
    assert second["health"]["routes"] is None
    assert second["health"]["asked"] < timezone.now().isoformat()


def test_a_provider_tells_how_it_is_and_what_runs_on_it(api: Api) -> None:
    row = provider()
    held = probed(row, running=5, waiting=2)
    process(report(row, in_flight=3, state="open", reason="connection refused"))
    process(report(row, in_flight=4))

    shown = api.get(HERE).json()

    assert shown["in_flight"] == 7
    assert shown["health"]["state"] == "degraded"
    assert shown["health"]["reason"] == "Calls to it fail in 1 of 2 processes: connection refused"
    assert (shown["health"]["running"], shown["health"]["waiting"]) == (5, 2)
    assert shown["health"]["since"] is None

    Process.objects.all().delete()
    shown = api.get(HERE).json()
    assert (shown["in_flight"], shown["health"]["state"]) == (0, "healthy")
    assert shown["health"]["since"] == held.since.isoformat().replace("+00:00", "Z")


def test_a_drained_server_tells_how_many_calls_are_left(api: Api) -> None:
    row = provider()
    process(report(row, in_flight=1))

    shown = api.patch(HERE, {"draining": True}).json()

    assert shown["in_flight"] == 1
    assert shown["health"]["state"] == "draining"
    assert shown["health"]["reason"] == "It gets no new call; 1 call is still running."


def test_many_providers_are_listed_in_as_many_queries_as_one(
    api: Api, django_assert_max_num_queries: Any
) -> None:
    def queries() -> int:
        with django_assert_max_num_queries(20) as counted:
            assert api.get(PROVIDERS).status_code == 200
        return len(counted)

    probed(row := provider())
    process(report(row))
    queries()  # the first reads more
    with_one = queries()
    for number in range(20):
        probed(row := provider(f"vllm-{number}"))
        found(row, "a")
        process(report(row))

    assert queries() == with_one


def test_refreshing_keeps_what_the_server_says(api: Api, vllm: ScriptedVllm) -> None:
    provider(base_url=vllm.url)

    answer = api.post(f"{HERE}/refresh")

    assert answer.status_code == 200
    assert answer.json()["health"]["models"] == vllm.models
    assert [card["id"] for card in Discovery.objects.get().cards] == vllm.models


def test_testing_keeps_nothing(api: Api, vllm: ScriptedVllm) -> None:
    provider(base_url=vllm.url)

    answer = api.post(f"{HERE}/test")

    assert answer.json() == {"ok": True, "text": "1 model.", "models": vllm.models}
    assert not Discovery.objects.exists()


def test_a_server_that_is_down_is_told_of_and_is_no_error(api: Api) -> None:
    provider(base_url="http://127.0.0.1:1/v1")

    tested = api.post(f"{HERE}/test")
    refreshed = api.post(f"{HERE}/refresh")

    assert (tested.status_code, tested.json()["ok"]) == (200, False)
    assert (refreshed.status_code, refreshed.json()["health"]["error"]) == (
        200,
        tested.json()["text"],
    )


def test_the_history_says_what_a_key_has_changed(api: Api) -> None:
    provider()

    api.patch(HERE, {"enabled": False})
    api.delete(HERE)

    deleted, updated = LogEntry.objects.get_for_model(Provider).order_by("-id")[:2]
    assert updated.changes_dict == {"enabled": ["True", "False"]}
    assert deleted.action == LogEntry.Action.DELETE
    assert {str(e.additional_data["by"]) for e in (deleted, updated)} == {
        "API key Terraform (…6789)"
    }
