"""Wanted providers become rows, and the rows follow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from auditlog.models import LogEntry
from django.utils import timezone

from providers import edits, revision
from providers.models import Discovery, Provider, Source
from providers.seeding.apply import apply
from providers.seeding.wanted import SeedError, Wanted

pytestmark = pytest.mark.django_db

FULL = Wanted(
    "a",
    "yaml",
    base_url="http://h:1",
    api_key="upstream-secret",
    models=("m", "n"),
    models_mode="allowlist",
    enabled=False,
    passthrough="control",
    translation="always",
    weight=0.5,
    max_concurrency=8,
    draining=True,
    repeats_after_timeout=True,
    connect_seconds=1,
    first_byte_seconds=2,
    idle_seconds=3.5,
)


def held(name: str = "a") -> Provider:
    return Provider.objects.get(name=name)


def test_a_wanted_provider_becomes_a_row_with_every_field():
    assert apply([FULL]) == ["provider a: added from the YAML file"]

    row = held()
    assert (row.type, row.base_url, row.api_key) == ("vllm", "http://h:1/v1", "upstream-secret")
    assert (row.model_ids, row.models_mode) == (["m", "n"], "allowlist")
    assert (row.enabled, row.passthrough, row.translation) == (False, "control", "always")
    assert (row.weight, row.max_concurrency) == (0.5, 8)
    assert (row.draining, row.repeats_after_timeout) == (True, True)
    assert (row.connect_seconds, row.first_byte_seconds, row.idle_seconds) == (1, 2, 3.5)
    assert (row.source, row.detached) == ("yaml", None)


def test_a_row_that_fits_is_not_written():
    apply([FULL, Wanted("b", "env")])
    before = (revision.current(), LogEntry.objects.count(), held().sealed_api_key)

    assert apply([FULL, Wanted("b", "env")]) == []

    assert (revision.current(), LogEntry.objects.count(), held().sealed_api_key) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"base_url": "http://h:2"}, "base_url"),
        ({"api_key": "another"}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"models": ("n", "m")}, "model_ids"),
        ({"models": (), "models_mode": ""}, "model_ids, models_mode"),
        ({"models_mode": "fallback"}, "models_mode"),
        ({"enabled": True}, "enabled"),
        ({"passthrough": "off"}, "passthrough"),
        ({"translation": "auto"}, "translation"),
        ({"weight": 1}, "weight"),
        ({"max_concurrency": None}, "max_concurrency"),
        ({"draining": False}, "draining"),
        ({"repeats_after_timeout": False}, "repeats_after_timeout"),
        ({"connect_seconds": 9}, "connect_seconds"),
        ({"first_byte_seconds": 9}, "first_byte_seconds"),
        ({"idle_seconds": 9}, "idle_seconds"),
    ],
)
def test_a_row_follows_each_field(change, said):
    apply([FULL])
    pk = held().pk

    assert apply([replace(FULL, **change)]) == [f"provider a: {said} changed with the YAML file"]

    assert held().pk == pk
    assert apply([replace(FULL, **change)]) == []


def test_a_row_that_the_environment_touches_is_the_environments():
    apply([FULL])

    both = {"base_url": "env", "weight": "yaml"}
    assert apply([replace(FULL, source="env", said_by=both)]) == [
        "provider a: source changed with the environment"
    ]
    assert (held().source, held().field_sources) == (Source.ENV, both)


def test_a_row_that_nobody_names_any_more_stays_flagged_until_it_is_named_again():
    apply([FULL, Wanted("b", "env")])
    before = (revision.current(), LogEntry.objects.count())

    assert apply([Wanted("b", "env")]) == [
        "provider a: no longer named by the YAML file; it stays until it is deleted in the admin,"
        " or by `manage.py seed --prune`"
    ]
    since = held().unnamed
    assert (list(since), held("b").unnamed) == (["yaml"], {})
    assert (held().is_named, held("b").is_named) == (False, True)
    assert held().base_url == "http://h:1/v1"

    apply([Wanted("b", "env")])
    assert held().unnamed == since
    assert (revision.current(), LogEntry.objects.count()) == before

    assert apply([FULL, Wanted("b", "env")]) == []
    assert (held().unnamed, held().is_named) == ({}, True)


def test_pruning_removes_what_nobody_names_with_what_was_discovered():
    apply([FULL, Wanted("b", "env")])
    Discovery.objects.create(provider=held())

    assert apply([Wanted("b", "env")], prune=True) == [
        "provider a: removed, since neither environment nor YAML file names it"
    ]
    assert [row.name for row in Provider.objects.all()] == ["b"]
    assert not Discovery.objects.exists()


@pytest.mark.parametrize("source", [Source.ENV, Source.YAML])
def test_a_row_edited_in_the_admin_is_left_alone(source):
    Provider.objects.create(
        name="a", base_url="http://mine:1", source=source, detached=timezone.now()
    )

    assert apply([FULL]) == [
        "provider a: edited in the admin, so the YAML file no longer changes it"
    ]
    assert apply([], prune=True) == []
    assert held().base_url == "http://mine:1/v1"


def test_a_row_made_in_the_admin_is_left_alone():
    Provider.objects.create(name="a", base_url="http://mine:1")

    both = {"base_url": "env", "weight": "yaml"}
    assert apply([replace(FULL, source="env", said_by=both)]) == [
        "provider a: made in the admin, so the environment does not change it"
    ]
    assert apply([], prune=True) == []
    assert held().base_url == "http://mine:1/v1"


def test_a_server_drained_in_the_admin_stays_so_at_the_next_start():
    wanted = replace(FULL, draining=False)
    apply([wanted])
    row = held()
    row.draining = True
    edits.save(row)

    apply([wanted])

    assert held().draining


@pytest.mark.parametrize("sealed_by", ["another row", "nobody"])
def test_a_key_that_does_not_open_is_sealed_anew(sealed_by):
    apply([FULL, replace(FULL, name="b")])
    lost = {"another row": held("b").sealed_api_key, "nobody": "AAAA" * 16}[sealed_by]
    Provider.objects.filter(name="a").update(sealed_api_key=lost)

    assert apply([FULL, replace(FULL, name="b")]) == [
        "provider a: api_key changed with the YAML file"
    ]
    assert held().api_key == "upstream-secret"


def test_what_the_model_refuses_is_told_for_every_provider():
    long = "http://h/" + "x" * 500

    with pytest.raises(SeedError) as refusal:
        apply([replace(FULL, base_url=long), Wanted("b", "env", models=("x", " y"))])

    first, second = str(refusal.value).splitlines()
    assert first.startswith("provider a, from the YAML file: base_url: Ensure this value has")
    assert second.startswith("provider b, from the environment: model_ids: A list of model ids")
    assert not Provider.objects.exists()


def test_no_sentence_and_no_history_holds_a_key():
    said = [*apply([FULL]), *apply([replace(FULL, api_key="another-secret")])]
    said += [*apply([]), *apply([], prune=True)]

    history = "".join(str(entry.changes) for entry in LogEntry.objects.all())
    assert "secret" not in "".join(said)
    assert LogEntry.objects.count() == 3
    assert "-secret" not in history


def test_a_flagged_row_that_is_edited_in_the_admin_is_the_admins():
    apply([FULL])
    apply([])
    row = held()
    row.enabled = not row.enabled

    assert edits.save(row)

    assert (held().unnamed, bool(held().detached)) == ({}, True)
    assert apply([], prune=True) == []


def test_a_provider_more_costs_few_statements(django_assert_max_num_queries) -> None:
    """A start with hundreds of servers would else take many seconds."""
    many = 20
    wanted = [
        Wanted(f"gpu-{number}", "env", base_url=f"http://gpu-{number}") for number in range(many)
    ]
    with django_assert_max_num_queries(7 * many):
        apply(wanted)
    assert Provider.objects.count() == many
