"""Pages that show providers keep up by themselves: one question for a page, changes alone."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape

from providers.admin import live
from providers.models import Health, Process, Provider
from tests.providers.admin_pages import (
    HOSTILE,
    LIST,
    client_with,
    found,
    page,
    probed,
    process,
    provider,
    report,
    text,
)

pytestmark = pytest.mark.django_db
QUOTED = '"><img src=x onerror=alert(1)>'


def asked_next(shown: Any) -> str:
    """The address that the page asks for what has changed."""
    [url] = re.findall(r'id="live" hx-get="([^"]+)"', text(shown))
    return html.unescape(url)


def swapped(answer: Any) -> dict[str, str]:
    """The parts in an answer, by id."""
    pattern = r'<div id="([^"]+)" hx-swap-oob="innerHTML">'
    _, *pieces = re.split(pattern, text(answer))
    return dict(zip(pieces[::2], pieces[1::2], strict=True))


def pages(row: Provider) -> tuple[str, ...]:
    return ("/admin/?servers=all", LIST, page(row))


@pytest.mark.parametrize("number", [1, 2])
def test_a_page_is_told_of_a_change_and_of_nothing_else(admin_client: Client, number: int) -> None:
    row, other = provider(), provider("other")
    probed(row)
    probed(other)
    url = asked_next(admin_client.get(pages(row)[number]))
    assert admin_client.get(url).status_code == 204

    Health.objects.filter(provider=row).update(state="unhealthy", reason="connection refused")
    answer = admin_client.get(url)

    parts = swapped(answer)
    assert answer.status_code == 200
    assert set(parts) == {f"health-{row.pk.hex}"}
    assert "unhealthy" in parts[f"health-{row.pk.hex}"]
    assert "connection refused" in parts[f"health-{row.pk.hex}"]
    assert admin_client.get(asked_next(answer)).status_code == 204


@pytest.mark.parametrize("number", range(3))
def test_every_part_of_an_answer_has_its_place_on_the_page(
    admin_client: Client, number: int
) -> None:
    row = provider()
    shown = admin_client.get(pages(row)[number])
    probed(row)
    process(report(row, in_flight=3))

    parts = swapped(admin_client.get(asked_next(shown)))

    assert {f"health-{row.pk.hex}", f"load-{row.pk.hex}"} <= set(parts)
    assert all(text(shown).count(f'id="{part}"') == 1 for part in parts)


def test_the_overview_counts_anew(admin_client: Client) -> None:
    row = provider()
    provider("other")
    url = asked_next(admin_client.get("/admin/"))

    probed(row)

    assert "1 of 2" in swapped(admin_client.get(url))["healthy"]


def order(shown: Any) -> list[str]:
    """The servers in an overview's table, or in an answer that brings it anew."""
    return re.findall(r'<a id="server-[^>]+>([^<]+)</a>', text(shown))


def test_the_overview_is_told_of_a_change_in_a_row_that_stays_where_it_is(
    admin_client: Client,
) -> None:
    probed(row := provider(), "unhealthy", "reset")
    url = asked_next(admin_client.get("/admin/"))
    assert admin_client.get(url).status_code == 204

    Health.objects.update(reason="connection refused")

    assert set(swapped(admin_client.get(url))) == {f"health-{row.pk.hex}"}


def test_a_server_that_begins_to_fail_comes_first_on_an_open_overview(
    admin_client: Client,
) -> None:
    for name, state in (("a", "degraded"), ("b", "degraded"), ("c", "healthy")):
        probed(provider(name), state)
    shown = admin_client.get("/admin/")
    assert order(shown) == ["a", "b"]

    Health.objects.filter(provider__name="c").update(state="unhealthy")
    after = admin_client.get(asked_next(shown))

    assert order(after) == ["c", "a", "b"]
    assert set(swapped(after)) == {"healthy", "rest", "servers"}
    assert admin_client.get(asked_next(after)).status_code == 204

    Health.objects.filter(provider__name="b").update(state="misconfigured")
    after = admin_client.get(asked_next(after))
    assert order(after) == ["b", "c", "a"]


def test_a_server_that_is_well_again_leaves_an_open_overview(admin_client: Client) -> None:
    probed(provider("a"), "unhealthy")
    shown = admin_client.get("/admin/")

    Health.objects.update(state="healthy")
    after = admin_client.get(asked_next(shown))

    assert order(after) == []
    assert "1 healthy" in swapped(after)["rest"]


def test_an_overview_of_all_servers_stays_one(admin_client: Client) -> None:
    for name in ("a", "b"):
        probed(provider(name))
    shown = admin_client.get("/admin/?servers=all")
    assert order(shown) == ["a", "b"]

    Health.objects.filter(provider__name="b").update(state="degraded")
    after = admin_client.get(asked_next(shown))

    assert order(after) == ["b", "a"]
    Provider.objects.filter(name="b").delete()
    probed(provider("new"), "unhealthy")
    assert order(admin_client.get(asked_next(after))) == ["new", "a"]


def test_load_is_told_as_it_changes(admin_client: Client) -> None:
    row = provider()
    probed(row)
    held = process(report(row, in_flight=3))
    url = asked_next(admin_client.get(LIST))

    held.reports = report(row, in_flight=4)
    held.save()
    Health.objects.filter(provider=row).update(running=9, waiting=1)

    parts = swapped(admin_client.get(url))
    assert set(parts) == {f"load-{row.pk.hex}"}
    assert "4 in flight" in parts[f"load-{row.pk.hex}"]
    assert "9 running, 1 waiting" in parts[f"load-{row.pk.hex}"]


def test_a_change_of_how_calls_fare_is_told(admin_client: Client) -> None:
    row = provider()
    probed(row)
    url = asked_next(admin_client.get(LIST))

    process(report(row, state="half-open", reason="reset"))

    assert "degraded" in swapped(admin_client.get(url))[f"health-{row.pk.hex}"]


def test_a_deleted_provider_says_so_and_the_others_go_on(admin_client: Client) -> None:
    row, other = provider(), provider("other")
    url = asked_next(admin_client.get(LIST))

    Provider.objects.filter(pk=row.pk).delete()
    probed(other)

    parts = swapped(admin_client.get(url))
    assert "deleted" in parts[f"health-{row.pk.hex}"]
    assert "healthy" in parts[f"health-{other.pk.hex}"]


def test_the_list_asks_for_the_rows_that_it_shows(admin_client: Client) -> None:
    provider()
    other = provider("other")

    url = asked_next(admin_client.get(LIST, {"q": "other"}))

    probed(other)
    assert {part.split("-")[1] for part in swapped(admin_client.get(url))} == {other.pk.hex}


def test_a_poll_takes_as_many_queries_for_many_rows_as_for_one(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    def queries() -> int:
        url = asked_next(admin_client.get("/admin/?servers=all"))
        Process.objects.all().delete()
        with django_assert_max_num_queries(20) as counted:
            assert admin_client.get(url).status_code == 200
        return len(counted)

    process(report(provider(), in_flight=1))
    with_one = queries()
    for number in range(20):
        found(row := provider(f"vllm-{number}"), "a")
        probed(row)
        process(report(row, in_flight=1))

    assert queries() == with_one


def test_what_servers_say_is_text(admin_client: Client) -> None:
    row = provider()
    url = asked_next(admin_client.get(LIST))
    probed(row, "degraded", f"{HOSTILE}{QUOTED}")
    process(report(row, state="misconfigured", reason=f"{QUOTED}{HOSTILE}", in_flight=1))

    answers: list[Any] = [admin_client.get(url), *(admin_client.get(p) for p in pages(row))]
    Process.objects.all().delete()
    answers += [admin_client.get(url), *(admin_client.get(path) for path in pages(row))]

    for answer in answers:
        assert HOSTILE not in text(answer)
        assert "<img src=x" not in text(answer)
        assert escape(HOSTILE) in text(answer)


@pytest.mark.parametrize("client", ["nobody", "may not look"])
def test_who_is_logged_out_is_told_so_once_and_shown_nothing(
    admin_client: Client, client: str
) -> None:
    probed(provider(), "degraded", "a secret reason")
    url = asked_next(admin_client.get(LIST))
    asks = Client() if client == "nobody" else client_with("view_apikey")

    answer = asks.get(f"{url}0")  # of another digest: there is something to tell

    assert answer.status_code == live.STOP_POLLING
    assert "no longer refreshes itself" in text(answer)
    assert "hx-get" not in text(answer)
    assert "csrf" not in text(answer)
    assert "secret" not in text(answer)
    assert swapped(answer) == {}


def test_who_may_look_is_kept_up_to_date() -> None:
    row = provider()
    asks = client_with("view_provider")
    url = asked_next(asks.get(LIST))

    probed(row)

    assert f"health-{row.pk.hex}" in swapped(asks.get(url))


def test_no_page_asks_for_what_its_user_may_not_see() -> None:
    provider()

    assert "live" not in text(client_with("view_apikey").get("/admin/"))


@pytest.mark.parametrize(
    "query",
    ["", "?ids=", "?ids=x..y", "?ids=%00", "?ids=" + ".".join(["f" * 32] * 999), "?known=a.b.c"],
)
def test_an_odd_question_is_no_error(admin_client: Client, query: str) -> None:
    assert admin_client.get(f"{LIST}live/{query}").status_code in {200, 204}


def test_the_state_is_announced_where_there_is_one(admin_client: Client) -> None:
    shown = text(admin_client.get(page(provider())))

    assert re.search(r'role="status" aria-label="Health"><div id="health-', shown)


def test_no_cache_keeps_an_answer(admin_client: Client) -> None:
    provider()

    assert "no-store" in admin_client.get(asked_next(admin_client.get(LIST)))["Cache-Control"]


def test_only_get_is_answered(admin_client: Client) -> None:
    assert admin_client.post(f"{LIST}live/").status_code == 405
