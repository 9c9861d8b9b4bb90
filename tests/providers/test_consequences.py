"""Who takes a server out of service is told first what clients would miss."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from django.test import Client

from providers import consequences
from providers.consequences import Consequences
from providers.models import Alias, Provider
from tests.providers.admin_pages import (
    HOSTILE,
    LIST,
    client_with,
    found,
    page,
    probed,
    provider,
    said,
    text,
    values,
)
from tests.providers.api_client import MASTER, PROVIDERS, Api, master_key

pytestmark = pytest.mark.django_db
LOST = "No other server takes calls for the model only-here."


def fleet() -> dict[str, Provider]:
    """`shared` is on both; `only-here` on the first alone; aliases in all ways."""
    rows = {name: provider(name, base_url=f"http://{name}") for name in ("gpu-1", "gpu-2")}
    found(rows["gpu-1"], "shared", "only-here")
    found(rows["gpu-2"], "shared")
    for name, target in {
        "by-name": ("gpu-1", "shared"),
        "only": ("", "only-here"),
        "either": ("", "shared"),
        "through": ("", "by-name"),
    }.items():
        Alias.objects.create(name=name).targets.create(provider=target[0], model=target[1])
    return rows


def of(*rows: Provider) -> Consequences:
    return consequences.of({row.pk for row in rows})


def test_what_one_server_alone_has_would_be_missed() -> None:
    rows = fleet()

    assert of(rows["gpu-1"]) == Consequences(
        models=("only-here",), stranded=("by-name", "only", "through"), naming=("by-name",)
    )
    assert of(rows["gpu-2"]) == Consequences()
    assert of(*rows.values()).models == ("only-here", "shared")
    assert of(*rows.values()).stranded == ("by-name", "either", "only", "through")


@pytest.mark.parametrize("fields", [{"enabled": False}, {"draining": True}])
def test_a_server_that_takes_no_calls_is_no_substitute_and_missed_by_nobody(
    fields: dict[str, bool],
) -> None:
    rows = fleet()
    Provider.objects.filter(name="gpu-2").update(**fields)

    assert of(rows["gpu-1"]).models == ("only-here", "shared")
    assert of(rows["gpu-2"]) == Consequences()


def test_servers_that_fail_are_a_doubtful_substitute() -> None:
    rows = fleet()
    probed(rows["gpu-2"], "unhealthy")

    lost = of(rows["gpu-1"])

    assert (lost.models, lost.doubtful) == (("only-here",), ("shared",))
    assert "All other servers fail at the moment for the model shared." in lost.sentences


def test_who_deletes_a_server_is_told_of_aliases_that_name_it_in_any_case() -> None:
    rows = fleet()
    Provider.objects.filter(name="gpu-1").update(enabled=False)

    assert of(rows["gpu-1"]) == Consequences()
    assert consequences.of_deleting({rows["gpu-1"].pk}) == Consequences(naming=("by-name",))


def test_long_lists_are_cut_and_counted() -> None:
    lost = Consequences(models=tuple(f"m{n}" for n in range(25)), naming=("a", "b"))

    assert lost.sentences[0].endswith("m18, m19 and 5 more.")
    assert lost.sentences[1] == "Targets of the aliases a, b lead there by name."


def test_as_many_queries_for_many_servers_as_for_few(django_assert_max_num_queries: Any) -> None:
    rows = fleet()
    for number in range(20):
        found(provider(f"more-{number}"), "shared")

    with django_assert_max_num_queries(5):
        of(rows["gpu-1"])


# In the admin.


def hidden(answer: Any) -> dict[str, list[str]]:
    """What the page that asks sends when it is confirmed."""
    sent: dict[str, list[str]] = {}
    pattern = r'<input type="hidden" name="([^"]+)" value="([^"]*)">'
    for name, value in re.findall(pattern, text(answer)):
        sent.setdefault(name, []).append(html.unescape(value))
    return sent


def state(row: Provider) -> tuple[bool, bool]:
    row.refresh_from_db()
    return row.enabled, row.draining


def test_the_button_drains_once_it_is_confirmed(admin_client: Client) -> None:
    row = fleet()["gpu-1"]

    asked = admin_client.post(page(row, "drain"))

    assert "Drain gpu-1?" in text(asked)
    assert LOST in text(asked)
    assert "No server is left for the aliases by-name, only, through." in text(asked)
    assert "Nothing has been changed yet." in text(asked)
    assert state(row) == (True, False)

    done = admin_client.post(page(row, "drain"), hidden(asked), follow=True)
    assert "Draining: 1." in said(done)
    assert state(row) == (True, True)


def test_what_nobody_would_miss_is_done_at_once(admin_client: Client) -> None:
    row = fleet()["gpu-2"]

    admin_client.post(page(row, "drain"))

    assert state(row) == (True, True)


def test_what_was_confirmed_counts_for_that_alone(admin_client: Client) -> None:
    rows = fleet()
    asked = admin_client.post(page(rows["gpu-1"], "drain"))
    Provider.objects.filter(name="gpu-2").update(enabled=False)

    again = admin_client.post(page(rows["gpu-1"], "drain"), hidden(asked))

    assert "the models only-here, shared" in text(again)
    assert state(rows["gpu-1"]) == (True, False)


@pytest.mark.parametrize(
    ("action", "after"), [("disable", (False, False)), ("drain", (True, True))]
)
def test_an_action_of_the_list_switches_once_it_is_confirmed(
    admin_client: Client, action: str, after: tuple[bool, bool]
) -> None:
    rows = fleet()
    chosen = {"action": action, "_selected_action": [row.pk for row in rows.values()]}

    asked = admin_client.post(LIST, chosen)

    assert "2 providers?" in text(asked)
    assert "the models only-here, shared" in text(asked)
    assert {state(row) for row in rows.values()} == {(True, False)}
    admin_client.post(LIST, hidden(asked))
    assert {state(row) for row in rows.values()} == {after}


def test_the_button_disables_once_it_is_confirmed_and_enables_at_once(
    admin_client: Client,
) -> None:
    row = fleet()["gpu-1"]

    asked = admin_client.post(page(row, "disable"))

    assert "Disable gpu-1?" in text(asked)
    assert LOST in text(asked)
    assert state(row) == (True, False)

    done = admin_client.post(page(row, "disable"), hidden(asked), follow=True)
    assert "Disabled: 1." in said(done)
    assert state(row) == (False, False)
    assert page(row, "enable") in text(done)

    admin_client.post(page(row, "enable"))
    assert state(row) == (True, False)


@pytest.mark.parametrize("sent", [{"enabled": None}, {"draining": "on"}])
def test_no_form_puts_a_server_in_or_out_of_service(
    admin_client: Client, sent: dict[str, Any]
) -> None:
    row = fleet()["gpu-1"]

    admin_client.post(page(row), values(name="gpu-1", weight="3", **sent))

    assert state(row) == (True, False)
    assert row.weight == 3.0


def test_a_form_that_takes_nothing_out_of_service_is_saved_at_once(admin_client: Client) -> None:
    row = fleet()["gpu-1"]

    admin_client.post(page(row), values(name="gpu-1", weight="3"))

    row.refresh_from_db()
    assert row.weight == 3.0


def test_who_may_only_look_is_asked_nothing() -> None:
    row = fleet()["gpu-1"]
    client = client_with("view_provider")

    for button in ("drain", "take_calls", "enable", "disable"):
        assert client.post(page(row, button)).status_code == 403
    assert state(row) == (True, False)


def test_the_pages_before_a_deletion_say_what_would_be_missed(admin_client: Client) -> None:
    rows = fleet()
    both = {"action": "delete_selected", "_selected_action": [row.pk for row in rows.values()]}

    assert LOST in text(admin_client.get(page(rows["gpu-1"], "delete")))
    assert "What clients would miss" not in text(admin_client.get(page(rows["gpu-2"], "delete")))
    assert "the models only-here, shared" in text(admin_client.post(LIST, both))

    admin_client.post(page(rows["gpu-1"], "delete"), {"post": "yes"})
    assert list(Provider.objects.values_list("name", flat=True)) == ["gpu-2"]


def test_hostile_names_are_text_on_the_page_that_asks(admin_client: Client) -> None:
    found(row := provider("gpu-1"), HOSTILE)

    asked = admin_client.post(page(row, "drain"), {"odd": HOSTILE})

    assert HOSTILE not in text(asked)
    assert html.escape(HOSTILE) in text(asked)


# Over the management API.


@pytest.fixture
def api() -> Api:
    master_key()
    return Api(MASTER)


@pytest.mark.parametrize("change", [{"draining": True}, {"enabled": False}])
def test_a_patch_that_takes_a_server_out_of_service_warns(
    api: Api, change: dict[str, bool]
) -> None:
    fleet()

    warned = api.patch(f"{PROVIDERS}/gpu-1", change).json()["warnings"]

    assert LOST in warned
    assert api.patch(f"{PROVIDERS}/gpu-1", change).json()["warnings"] == []
    assert api.patch(f"{PROVIDERS}/gpu-2", {"weight": 2}).json()["warnings"] == []


def test_a_deletion_warns_in_a_header(api: Api) -> None:
    fleet()
    provider("nobody-s")

    answer = api.delete(f"{PROVIDERS}/gpu-1")

    assert answer.status_code == 204
    assert LOST in json.loads(answer["Aurora-Warnings"])
    assert "Aurora-Warnings" not in api.delete(f"{PROVIDERS}/nobody-s")


def test_the_header_holds_any_name(api: Api) -> None:
    found(provider("gpu-1"), "模型", *("x" * 200 + str(n) for n in range(30)))

    [warning] = json.loads(api.delete(f"{PROVIDERS}/gpu-1")["Aurora-Warnings"])

    assert len(warning) == 500


def test_a_program_can_ask_before_it_changes_anything(api: Api) -> None:
    fleet()

    told = api.get(f"{PROVIDERS}/gpu-1/consequences").json()

    assert told["models"] == ["only-here"]
    assert told["aliases"] == ["by-name", "only", "through"]
    assert LOST in told["warnings"]
    empty: dict[str, list[str]] = {"models": [], "aliases": [], "warnings": []}
    assert api.get(f"{PROVIDERS}/gpu-2/consequences").json() == empty
    assert api.get(f"{PROVIDERS}/gone/consequences").status_code == 404
