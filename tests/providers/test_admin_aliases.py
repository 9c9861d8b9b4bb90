"""Aliases in the admin: what each leads to, what is wrong with it, and what the form refuses."""

from __future__ import annotations

from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from providers.models import Alias, AliasTarget
from tests.providers.admin_pages import (
    HOSTILE,
    client_with,
    found,
    page,
    provider,
    said,
    text,
    values,
)

pytestmark = pytest.mark.django_db
LIST = "/admin/providers/alias/"
ADD = f"{LIST}add/"


def alias(name: str, *targets: dict[str, Any], **fields: Any) -> Alias:
    row = Alias.objects.create(name=name, **fields)
    for target in targets:
        AliasTarget.objects.create(alias=row, **target)
    return row


def here(row: Alias) -> str:
    return reverse("admin:providers_alias_change", args=[row.pk])


def typed(*targets: dict[str, Any], initial: int = 0, **changes: Any) -> dict[str, Any]:
    form = {"name": "chat", "enabled": "on", "policy": "", "response_model": "answered"}
    sent = {**form, "targets-TOTAL_FORMS": len(targets), "targets-INITIAL_FORMS": initial}
    for number, target in enumerate(targets):
        row = {"tier": 1, "provider": "", "model": "", "weight": "1.0", **target}
        sent |= {f"targets-{number}-{name}": value for name, value in row.items()}
    return sent | changes


def test_an_alias_is_added_with_its_targets(admin_client: Client) -> None:
    provider("gpu-1")

    admin_client.post(ADD, typed({"model": "m", "provider": "gpu-1"}, {"model": "n", "tier": 2}))

    targets = AliasTarget.objects.filter(alias__name="chat").values_list(
        "tier", "provider", "model"
    )
    assert list(targets) == [(1, "gpu-1", "m"), (2, "", "n")]


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        ([], "at least one target"),
        ([{"model": "m"}, {"model": "m"}], "m is in tier 1 more than once"),
        ([{"model": "back"}], "back to themselves"),
        ([{"model": "claude-*"}], "claude-* is a pattern, which no target can be"),
        ([{"model": "m", "weight": "0"}], "greater than or equal to 0.01"),
        ([{"model": "m", "tier": -1}], "greater than or equal to 1."),
        ([{"model": "m", "provider": "never-there"}], "not one of the available choices"),
        ([{"model": f"m{n}"} for n in range(101)], "100"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    admin_client: Client, targets: list[dict[str, Any]], told: str
) -> None:
    alias("back", {"model": "chat"})

    answer = admin_client.post(ADD, typed(*targets))

    assert answer.status_code == 200
    assert told in text(answer)
    assert not Alias.objects.filter(name="chat").exists()


def test_an_alias_is_added_for_all_names_that_begin_alike(admin_client: Client) -> None:
    assert "claude-*" in text(admin_client.get(ADD))

    admin_client.post(ADD, typed({"model": "m"}, name="claude-*"))
    refused = admin_client.post(ADD, typed({"model": "m"}, name="*a*b*c*"))

    assert "A name holds * at most 3 times." in text(refused)
    assert [row.name for row in Alias.objects.all()] == ["claude-*"]


def test_a_removed_last_target_is_refused(admin_client: Client) -> None:
    row = alias("chat", {"model": "m"})
    target = {"model": "m", "id": row.targets.get().pk, "alias": row.pk, "DELETE": "on"}

    answer = admin_client.post(here(row), typed(target, initial=1))

    assert "at least one target" in text(answer)
    assert row.targets.count() == 1


def test_a_provider_that_is_gone_stays_chosen_and_is_flagged(admin_client: Client) -> None:
    row = alias("chat", {"model": "m", "provider": "gpu-9"})

    shown = text(admin_client.get(here(row)))

    assert "gpu-9 (gone)" in shown
    assert "nothing serves gpu-9/m" in shown
    target = {"model": "m", "provider": "gpu-9", "id": row.targets.get().pk, "alias": row.pk}
    assert admin_client.post(here(row), typed(target, initial=1)).status_code == 302


def test_the_list_says_where_an_alias_leads_and_what_is_wrong(admin_client: Client) -> None:
    found(provider("gpu-1"), "m")
    alias("m", {"model": "m", "weight": 2}, {"model": "n"}, {"model": "chat", "tier": 2})
    alias("chat", {"model": "m", "provider": "gpu-1"})
    alias("gpu-1/m", {"model": "m", "provider": "gpu-1"})
    alias("vllm/m", {"model": "m", "provider": "gpu-1"})

    shown = text(admin_client.get(LIST))

    assert "m x2 and n, then chat" in shown
    assert "nothing serves n<" in shown.replace("\n", "<")
    assert "stands before the model of that id of gpu-1" in shown
    assert "stands before m of gpu-1" in shown
    assert "stands before m of every vllm server" in shown
    assert shown.count("nothing serves") == 1


def test_the_list_takes_no_query_for_each_row(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        alias(f"a{number}", {"model": "m"}, {"model": "n", "provider": "p"})
    with django_assert_max_num_queries(15):
        admin_client.get(LIST)


def test_a_renamed_provider_takes_targets_along(admin_client: Client) -> None:
    made = provider("vllm")
    row = alias("chat", {"model": "m", "provider": "vllm"})

    admin_client.post(page(made), values(name="gpu-7"), follow=True)

    assert row.targets.get().provider == "gpu-7"


def test_who_may_only_look_sees_the_alias() -> None:
    row = alias("chat", {"model": "m"})

    assert "chat" in text(client_with("view_alias", "view_aliastarget").get(here(row)))


def test_names_are_text_on_every_page(admin_client: Client) -> None:
    found(provider("gpu-1"), HOSTILE)
    row = alias(HOSTILE, {"model": f"x{HOSTILE}"}, {"model": "m", "provider": "<b>"})

    pages = [
        LIST,
        here(row),
        f"{here(row).removesuffix('change/')}history/",
        "/admin/auditlog/logentry/",
    ]
    for path in [*pages, f"{here(row).removesuffix('change/')}delete/"]:
        shown = text(admin_client.get(path))
        assert HOSTILE not in shown, path
        assert escape(HOSTILE) in shown, path
    for entry in _entries():
        assert HOSTILE not in text(admin_client.get(entry))


def _entries() -> list[str]:
    found = LogEntry.objects.values_list("pk", flat=True)
    return [reverse("admin:auditlog_logentry_change", args=[pk]) for pk in found]


def test_the_history_of_an_alias_tells_of_its_targets_too(admin_client: Client) -> None:
    """They are most of what is changed of it, and those of others are not its own."""
    row = alias("chat", {"model": "m"}, {"model": "n", "provider": "gpu-1"})
    alias("other", {"model": "m"})
    kept, gone = (
        {"id": each.pk, "alias": row.pk, "provider": each.provider, "model": each.model}
        for each in row.targets.order_by("id")
    )
    admin_client.post(
        here(row), typed({**kept, "weight": 2}, {**gone, "DELETE": "on"}, initial=2), follow=True
    )

    answer = admin_client.get(f"{here(row).removesuffix('change/')}history/")

    told = [(what, entry.object_repr) for entry, _, what, _ in answer.context["entries"]]
    assert sorted(told) == [
        ("added", "chat"),
        ("added", "gpu-1/n of chat"),
        ("added", "m of chat"),
        ("changed", "m of chat"),
        ("deleted", "gpu-1/n of chat"),
    ]
    assert "changed m of chat" in " ".join(text(answer).split())


def test_an_alias_is_deleted_with_its_targets(admin_client: Client) -> None:
    row = alias("chat", {"model": "m"})

    answer = admin_client.post(
        f"{here(row).removesuffix('change/')}delete/", {"post": "yes"}, follow=True
    )

    assert "deleted" in said(answer)
    assert not AliasTarget.objects.exists()
