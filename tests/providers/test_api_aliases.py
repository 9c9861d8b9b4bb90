"""Aliases over the management API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from auditlog.models import LogEntry

from providers import revision
from providers.models import Alias, AliasTarget
from tests.providers.admin_pages import provider
from tests.providers.api_client import ALIASES, MASTER, PROVIDERS, Api, master_key, refusal

pytestmark = pytest.mark.django_db
HERE = f"{ALIASES}/chat"
NEW: dict[str, Any] = {"name": "chat", "targets": [{"model": "m"}]}
TARGET = {"tier": 1, "provider": "", "model": "m", "weight": 1.0}


@pytest.fixture
def api() -> Api:
    master_key()
    return Api(MASTER)


def test_an_alias_is_added_with_a_name_and_a_target(api: Api) -> None:
    before = revision.current()

    answer = api.post(ALIASES, NEW)

    shown = answer.json()
    assert answer.status_code == 201
    assert shown.pop("created")
    assert shown == {
        "name": "chat",
        "enabled": True,
        "targets": [TARGET],
        "policy": "",
        "response_model": "answered",
        "resumes": False,
        "queue_calls": None,
        "queue_seconds": None,
        "flags": ["nothing serves m"],
    }
    assert revision.current() > before
    assert [row["name"] for row in api.get(ALIASES).json()["results"]] == ["chat"]


def test_every_member_can_be_given_and_targets_in_any_order(api: Api) -> None:
    given = {
        "name": "gpu-1/org/m",
        "enabled": False,
        "policy": "random",
        "response_model": "asked",
        "resumes": True,
        "queue_calls": 5,
        "queue_seconds": 0.5,
    }
    second = {"tier": 2, "provider": "gpu-1", "model": "n", "weight": 0.5}

    assert api.post(ALIASES, {**given, "targets": [second, TARGET]}).status_code == 201

    for path in (f"{ALIASES}/gpu-1/org/m", f"{ALIASES}/{quote('gpu-1/org/m', safe='')}"):
        shown = api.get(path).json()
        assert shown | given == shown
        assert shown["targets"] == [TARGET, second]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": " a"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"policy": "best"}, "policy"),
        ({"response_model": ""}, "response_model"),
        ({"queue_calls": -1}, "queue_calls"),
        ({"queue_calls": "5"}, "queue_calls"),
        ({"queue_calls": 1.0}, "queue_calls"),
        ({"queue_seconds": "nan"}, "queue_seconds"),
        ({"queue_seconds": 3601}, "queue_seconds"),
        ({"tiers": []}, "tiers"),
        ({"targets": []}, "targets"),
        ({"targets": None}, "targets"),
        ({"targets": [TARGET, TARGET]}, "targets"),
        ({"targets": [{**TARGET, "model": f"m{n}"} for n in range(101)]}, "targets"),
        ({"name": "a*b*c*d*e"}, "name"),
        ({"targets": [{"model": "claude-*"}]}, "targets"),
        ({"targets": [{**TARGET, "model": "m "}]}, "targets.0.model"),
        ({"targets": [{"tier": 1}]}, "targets.0.model"),
        ({"targets": [{**TARGET, "tier": 0}]}, "targets.0.tier"),
        ({"targets": [{**TARGET, "tier": 101}]}, "targets.0.tier"),
        ({"targets": [{**TARGET, "tier": "1"}]}, "targets.0.tier"),
        ({"targets": [{**TARGET, "weight": 0}]}, "targets.0.weight"),
        ({"targets": [{**TARGET, "weight": "nan"}]}, "targets.0.weight"),
        ({"targets": [{**TARGET, "alias": "b"}]}, "targets.0.alias"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_member(
    api: Api, changes: Any, param: str
) -> None:
    api.post(ALIASES, {**NEW, "name": "held"})

    for answer in (
        api.post(ALIASES, {**NEW, **changes}),
        api.put(f"{ALIASES}/held", {**NEW, **changes}),
        api.patch(f"{ALIASES}/held", changes),
    ):
        assert answer.status_code == 400
        assert refusal(answer)["param"] == param
    assert AliasTarget.objects.get().model == "m"
    assert not LogEntry.objects.filter(action=LogEntry.Action.UPDATE).exists()


def test_an_alias_for_all_names_that_begin_alike_is_added_changed_and_removed(api: Api) -> None:
    here = f"{ALIASES}/claude-*"
    api.post(ALIASES, {"name": "chat", "targets": [{"model": "m"}]})

    added = api.post(ALIASES, {"name": "claude-*", "targets": [{"model": "chat"}]})
    patched = api.patch(here, {"response_model": "asked"})

    assert (added.status_code, added.json()["name"]) == (201, "claude-*")
    assert patched.json()["response_model"] == api.get(here).json()["response_model"] == "asked"
    assert api.delete(here).status_code == 204


def test_a_target_that_is_a_pattern_is_told_what_it_must_be(api: Api) -> None:
    api.post(ALIASES, {"name": "claude-*", "targets": [{"model": "m"}]})

    answer = api.post(ALIASES, {"name": "chat", "targets": [{"model": "claude-*"}]})

    assert answer.status_code == 400
    assert "claude-* is a pattern" in refusal(answer)["message"]
    own = {"name": "chat", "targets": [{"provider": "gpu-1", "model": "odd*id"}]}
    assert api.post(ALIASES, own).status_code == 201


def test_a_name_that_is_taken_is_a_conflict(api: Api) -> None:
    api.post(ALIASES, NEW)
    api.post(ALIASES, {**NEW, "name": "other"})

    for answer in (api.post(ALIASES, NEW), api.patch(f"{ALIASES}/other", {"name": "chat"})):
        assert (answer.status_code, refusal(answer)["param"]) == (409, "name")


def test_a_cycle_is_named_and_nothing_of_it_is_kept(api: Api) -> None:
    api.post(ALIASES, {"name": "a", "targets": [{"model": "b"}]})
    api.post(ALIASES, {"name": "b", "targets": [{"model": "c"}]})

    answer = api.post(ALIASES, {"name": "c", "targets": [{"model": "m"}, {"model": "a"}]})

    assert (answer.status_code, refusal(answer)["param"]) == (400, "targets")
    assert "a -> b -> c -> a" in refusal(answer)["message"]
    assert not Alias.objects.filter(name="c").exists()
    off = {"name": "c", "enabled": False, "targets": [{"model": "a"}]}
    assert api.post(ALIASES, off).status_code == 201
    assert api.patch(f"{ALIASES}/c", {"enabled": True}).status_code == 400


def test_an_alias_may_name_the_model_it_stands_before(api: Api) -> None:
    assert api.post(ALIASES, {"name": "m", "targets": [{"model": "m"}]}).status_code == 201


def test_aliases_that_lead_to_too_much_together_are_refused(api: Api) -> None:
    for n in range(6):
        many = [{"model": f"m{n}-{k}"} for k in range(100)]
        api.post(ALIASES, {"name": f"b{n}", "targets": many})

    answer = api.post(ALIASES, {"name": "a", "targets": [{"model": f"b{n}"} for n in range(6)]})

    assert answer.status_code == 400
    assert "over 500 targets" in refusal(answer)["message"]


def test_a_patch_leaves_what_is_not_sent_and_a_put_does_not(api: Api) -> None:
    api.post(ALIASES, {**NEW, "policy": "random", "resumes": True})

    patched = api.patch(HERE, {"policy": "affinity"}).json()
    put = api.put(HERE, {"name": "chat", "targets": [{"model": "n"}]}).json()

    assert (patched["policy"], patched["resumes"], patched["targets"]) == (
        "affinity",
        True,
        [TARGET],
    )
    assert (put["policy"], put["resumes"]) == ("", False)
    assert put["targets"] == [{**TARGET, "model": "n"}]


def test_only_what_changes_is_written(api: Api) -> None:
    api.post(ALIASES, {"name": "chat", "targets": [{"model": "m"}, {"model": "n"}]})
    before = revision.current()
    held = set(AliasTarget.objects.values_list("pk", flat=True))

    api.patch(HERE, {"enabled": True, "targets": [{"model": "n"}, {"model": "m"}]})
    assert revision.current() == before

    api.patch(HERE, {"targets": [{"model": "n"}, {"model": "m", "weight": 2}]})
    assert set(AliasTarget.objects.values_list("pk", flat=True)) == held
    entry = LogEntry.objects.order_by("-id")[0]
    assert entry.changes_dict == {"weight": ["1.0", "2.0"]}
    assert str(entry.additional_data["by"]).startswith("API key Terraform")


def test_an_alias_is_renamed_and_removed(api: Api) -> None:
    api.post(ALIASES, NEW)

    assert api.patch(HERE, {"name": "talk"}).json()["targets"] == [TARGET]
    assert api.get(HERE).status_code == 404
    assert api.delete(f"{ALIASES}/talk").status_code == 204
    assert not AliasTarget.objects.exists()


def test_a_renamed_provider_takes_the_targets_along_that_name_it(api: Api) -> None:
    provider("gpu-1")
    named = [
        {"model": "m", "provider": "gpu-1"},
        {"model": "n", "provider": "gpu-1", "weight": 2},
        {"model": "n", "provider": "gpu-2", "weight": 3},
        {"model": "m"},
    ]
    api.post(ALIASES, {"name": "chat", "targets": named})

    assert api.patch(f"{PROVIDERS}/gpu-1", {"name": "gpu-2"}).status_code == 200

    left = {
        (each["provider"], each["model"], each["weight"])
        for each in api.get(HERE).json()["targets"]
    }
    assert left == {("gpu-2", "m", 1.0), ("gpu-2", "n", 3.0), ("", "m", 1.0)}


def test_a_deleted_provider_leaves_the_targets_that_name_it(api: Api) -> None:
    provider("gpu-1")
    api.post(ALIASES, {"name": "chat", "targets": [{"model": "m", "provider": "gpu-1"}]})

    api.delete(f"{PROVIDERS}/gpu-1")

    assert api.get(HERE).json()["targets"] == [{**TARGET, "provider": "gpu-1"}]


def test_what_an_operator_should_know_is_flagged_as_things_are(
    api: Api, django_assert_max_num_queries: Any
) -> None:
    served = {"models_mode": "allowlist", "model_ids": ["m", "n"]}
    api.post(ALIASES, {"name": "n", "targets": [{"model": "m", "provider": "gpu-1"}]})
    assert api.get(f"{ALIASES}/n").json()["flags"] == ["nothing serves gpu-1/m"]

    made = api.post(PROVIDERS, {"name": "gpu-1", "base_url": "http://gpu-1:8000", **served})
    assert made.status_code == 201

    assert api.get(f"{ALIASES}/n").json()["flags"] == [
        "stands before the model of that id of gpu-1"
    ]
    changed = api.patch(f"{ALIASES}/n", {"targets": [{"model": "x"}, {"model": "m"}]}).json()
    assert changed["flags"] == [
        "nothing serves x",
        "stands before the model of that id of gpu-1",
    ]
    for number in range(20):
        api.post(ALIASES, {"name": f"a{number}", "targets": [{"model": "n"}]})
    with django_assert_max_num_queries(15):
        assert api.get(f"{ALIASES}/a0").json()["flags"] == []
        assert len(api.get(ALIASES).json()["results"]) == 21
