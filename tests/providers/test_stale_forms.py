"""A form that was overtaken: what others did is kept, and what both did is told, not lost."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from providers.models import Alias, ApiKey, Provider
from tests.providers.admin_pages import UPSTREAM_KEY, provider, text
from tests.providers.beside import after_statement
from tests.providers.html_forms import form_on

pytestmark = pytest.mark.django_db


def address(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def opened(client: Client, row: Model) -> dict[str, Any]:
    """The form as it stands on its page."""
    return form_on(client.get(address(row)), f"{row._meta.model_name}_form")


def sent(client: Client, row: Model, form: dict[str, Any], **typed: Any) -> Any:
    answer = client.post(address(row), form | typed)
    row.refresh_from_db()
    return answer


def errors(answer: Any) -> dict[str, list[str]]:
    return {k: list(v) for k, v in answer.context["adminform"].form.errors.items()}


def test_a_form_that_nobody_overtook_is_saved(admin_client: Client) -> None:
    row = provider(max_concurrency=8)

    assert sent(admin_client, row, opened(admin_client, row), weight="3").status_code == 302
    assert (row.weight, row.max_concurrency) == (3, 8)


def test_what_others_changed_meanwhile_is_kept(admin_client: Client) -> None:
    """It was drained, disabled, capped and moved while somebody typed a weight."""
    row = provider(models_mode="allowlist", model_ids=["m"])
    form = opened(admin_client, row)
    changed = {
        "draining": True, "enabled": False, "max_concurrency": 4, "idle_seconds": 9,
        "model_ids": ["m", "n"], "base_url": "http://other/v1", "name": "moved",
        "repeats_after_timeout": True, "passthrough": "off",
    }  # fmt: skip
    Provider.objects.filter(pk=row.pk).update(**changed)

    assert sent(admin_client, row, form, weight="3").status_code == 302

    assert row.weight == 3
    assert {name: getattr(row, name) for name in changed} == changed


def test_what_both_changed_is_told_with_both_values_and_nothing_is_written(
    admin_client: Client,
) -> None:
    row = provider(max_concurrency=8)
    form = opened(admin_client, row)
    Provider.objects.filter(pk=row.pk).update(max_concurrency=4, idle_seconds=9)

    answer = sent(admin_client, row, form, max_concurrency="16", weight="3")

    [told] = errors(answer)["max_concurrency"]
    assert "changed this to “4”" in told
    assert "yours is “16”" in told
    assert (row.weight, row.max_concurrency) == (1, 4)
    again = form_on(answer, "provider_form")
    assert (again["max_concurrency"], again["weight"]) == (["16"], ["3"])

    assert sent(admin_client, row, again).status_code == 302
    assert (row.weight, row.max_concurrency, row.idle_seconds) == (3, 16, 9)


def test_who_is_overtaken_again_is_told_again(admin_client: Client) -> None:
    row = provider(max_concurrency=8)
    form = opened(admin_client, row)
    Provider.objects.filter(pk=row.pk).update(max_concurrency=4)
    again = form_on(sent(admin_client, row, form, max_concurrency="16"), "provider_form")
    Provider.objects.filter(pk=row.pk).update(max_concurrency=5)

    assert "“5”" in errors(sent(admin_client, row, again))["max_concurrency"][0]
    assert row.max_concurrency == 5


def test_two_who_mean_the_same_agree(admin_client: Client) -> None:
    row = provider()
    form = opened(admin_client, row)
    Provider.objects.filter(pk=row.pk).update(max_concurrency=4)

    assert sent(admin_client, row, form, max_concurrency="4").status_code == 302


def test_a_mistake_in_one_field_forgets_nothing_of_what_was_shown(admin_client: Client) -> None:
    row = provider()
    form = opened(admin_client, row)
    answer = sent(admin_client, row, form, weight="0")
    Provider.objects.filter(pk=row.pk).update(max_concurrency=4)

    sent(admin_client, row, form_on(answer, "provider_form"), weight="3")

    assert (row.weight, row.max_concurrency) == (3, 4)


def test_a_form_without_a_version_means_all_of_it(admin_client: Client) -> None:
    row = provider()
    form = opened(admin_client, row)
    Provider.objects.filter(pk=row.pk).update(max_concurrency=4)

    for version in ([], [""], ["no JSON"], ["[1]"], ['{"name": 1}']):
        assert sent(admin_client, row, form, version=version).status_code in {200, 302}

    assert row.max_concurrency is None


def test_a_key_that_somebody_else_changed_is_not_replaced_unawares(admin_client: Client) -> None:
    row = provider(key="the-first-key")
    form = opened(admin_client, row)
    row.api_key = "the-key-of-somebody-else"
    row.save()

    answer = sent(admin_client, row, form, new_api_key=UPSTREAM_KEY)

    assert "Somebody else has changed this" in errors(answer)["new_api_key"][0]
    assert row.api_key == "the-key-of-somebody-else"
    for secret in ("the-first-key", "the-key-of-somebody-else", UPSTREAM_KEY):
        assert secret not in text(answer)

    assert sent(admin_client, row, form_on(answer, "provider_form")).status_code == 302
    assert row.api_key == UPSTREAM_KEY


def test_a_form_that_leaves_the_key_alone_keeps_the_newer_one(admin_client: Client) -> None:
    row = provider(key="the-first-key")
    form = opened(admin_client, row)
    row.api_key = "the-key-of-somebody-else"
    row.save()

    sent(admin_client, row, form, weight="3")

    assert (row.weight, row.api_key) == (3, "the-key-of-somebody-else")


def test_an_alias_keeps_what_others_changed(admin_client: Client) -> None:
    row = Alias.objects.create(name="chat")
    row.targets.create(model="m")
    form = opened(admin_client, row)
    Alias.objects.filter(pk=row.pk).update(policy="random", queue_calls=7, enabled=False)

    assert sent(admin_client, row, form, name="talk").status_code == 302

    assert (row.name, row.policy, row.queue_calls) == ("talk", "random", 7)
    assert not row.enabled


def alias_of_two(client: Client) -> tuple[Alias, dict[str, Any]]:
    row = Alias.objects.create(name="chat")
    for model in ("m", "n"):
        row.targets.create(model=model)
    return row, opened(client, row)


def targets(row: Alias) -> list[tuple[str, float]]:
    return list(row.targets.order_by("model").values_list("model", "weight"))


def test_targets_that_others_changed_are_kept(admin_client: Client) -> None:
    row, form = alias_of_two(admin_client)
    row.targets.filter(model="m").update(weight=7)
    row.targets.filter(model="n").delete()
    row.targets.create(model="o")

    assert sent(admin_client, row, form, name="talk").status_code == 302

    assert row.name == "talk"
    assert targets(row) == [("m", 7), ("o", 1)]


@pytest.mark.parametrize("typed", [{"targets-0-weight": "3"}, {"targets-1-DELETE": "on"}])
def test_targets_that_both_changed_are_told(admin_client: Client, typed: dict[str, Any]) -> None:
    row, form = alias_of_two(admin_client)
    row.targets.filter(model="n").update(weight=7)

    answer = sent(admin_client, row, form, name="talk", **typed)

    assert "Somebody else has changed the targets" in text(answer)
    assert row.name == "chat"
    assert targets(row) == [("m", 1), ("n", 7)]


def test_targets_that_nobody_else_changed_are_saved(admin_client: Client) -> None:
    row, form = alias_of_two(admin_client)
    Alias.objects.filter(pk=row.pk).update(policy="random")
    typed = {"targets-0-weight": "3", "targets-1-DELETE": "on"}

    assert sent(admin_client, row, form, **typed).status_code == 302

    assert (row.policy, targets(row)) == ("random", [("m", 3)])


def test_a_key_keeps_the_expiry_that_somebody_else_gave_it(admin_client: Client) -> None:
    row, _ = ApiKey.objects.issue("n", expires=timezone.now() + timedelta(days=9))
    form = opened(admin_client, row)
    soon = timezone.now() + timedelta(days=1)
    ApiKey.objects.filter(pk=row.pk).update(expires=soon)

    assert sent(admin_client, row, form, name="another").status_code == 302

    assert (row.name, row.expires) == ("another", soon)


def test_a_user_is_not_let_in_again_by_an_old_form(admin_client: Client) -> None:
    """Its permissions and groups, too, are as somebody else left them."""
    row = User.objects.create_user("somebody", is_staff=True)
    permission, group = Permission.objects.all()[0], Group.objects.create(name="g")
    row.user_permissions.add(permission)
    form = opened(admin_client, row)
    login = timezone.now()
    User.objects.filter(pk=row.pk).update(is_active=False, is_staff=False, last_login=login)
    row.user_permissions.clear()
    row.groups.add(group)

    assert sent(admin_client, row, form, first_name="Some").status_code == 302

    assert (row.first_name, row.is_active, row.is_staff) == ("Some", False, False)
    assert row.last_login == login
    assert list(row.user_permissions.all()) == []
    assert list(row.groups.all()) == [group]


def test_only_what_was_edited_is_written(admin_client: Client) -> None:
    row = provider(source="env")
    form = opened(admin_client, row)

    with CaptureQueriesContext(connection) as queries:
        sent(admin_client, row, form, weight="3")

    [update] = [q["sql"] for q in queries if 'UPDATE "providers_provider"' in q["sql"]]
    columns = re.findall(r'"(\w+)" = ', update.partition("SET")[2].partition("WHERE")[0])
    assert columns == ["weight", "detached", "unnamed"]


@pytest.mark.django_db(transaction=True)
def test_a_password_of_ones_own_lets_nobody_in_again() -> None:
    user = User.objects.create_user("somebody", password="before-it-changes", is_staff=True)
    client = Client()
    client.force_login(user)
    words = {"new_password1": "after-it-changed", "new_password2": "after-it-changed"}

    def demote() -> None:
        User.objects.update(is_staff=False, is_superuser=False, first_name="Demoted")

    with after_statement(2, demote):  # once the session and its user were read
        client.post("/admin/password_change/", {"old_password": "before-it-changes", **words})

    user.refresh_from_db()
    assert (user.is_staff, user.first_name) == (False, "Demoted")


def test_a_password_of_ones_own_is_changed(admin_client: Client, admin_user: User) -> None:
    admin_user.set_password("before-it-changes")
    admin_user.save()
    admin_client.force_login(admin_user)
    words = {"new_password1": "after-it-changed", "new_password2": "after-it-changed"}

    sent = {"old_password": "before-it-changes", **words}
    answer = admin_client.post("/admin/password_change/", sent, follow=True)

    admin_user.refresh_from_db()
    assert answer.status_code == 200
    assert admin_user.check_password("after-it-changed")
    assert Client().get("/admin/password_change/")["Location"].startswith("/admin/login/")
