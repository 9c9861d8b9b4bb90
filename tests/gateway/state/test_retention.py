"""What goes when it is old or deleted: from the young end of a chain, in bounded slices."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.models import StoredConversation, StoredEvent, StoredItem, StoredResponse
from gateway.state import background, conversations, responses, retention
from tests.gateway.state.stores import (
    ANN,
    RunningStore,
    age,
    ids,
    item,
    queued,
    response,
    threads,
    written,
)
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def keep(*names: str, **fields) -> None:
    """A chain of these."""
    for name, earlier in zip(names, [None, *names], strict=False):
        written(response(name, previous=earlier, **fields))


def there() -> str:
    return "".join(sorted(StoredResponse.objects.values_list("response_id", flat=True)))


def just_now() -> datetime:
    """Past for a database that counts milliseconds, too."""
    return timezone.now() - timedelta(seconds=1)


def batches() -> list[str]:
    """What is there after each batch that found something."""
    seen = []
    while retention.batch(30):
        seen.append(there())
    return seen


def test_an_old_response_goes_with_all_that_is_of_it():
    background.begin(queued("a"), timedelta(minutes=1))
    background.finish(response("a", background=True), [(0, b"zero"), (1, b"one")])
    keep("b")
    age("a", 31)
    age("b", 29)
    batches()
    assert there() == "b"
    assert not StoredEvent.objects.exists()
    assert set(StoredItem.objects.values_list("item_id", flat=True)) == {"b-in", "b-out"}


def test_a_chain_goes_from_its_young_end():
    keep("a", "b", "c")
    for id in "abc":
        age(id, 31)
    seen = batches()
    assert sorted(set(seen), key=len, reverse=True) == ["abc", "ab", "a", ""]


def test_a_younger_one_keeps_all_that_it_continues():
    keep("a", "b", "c")
    written(response("d", previous="a"))
    for id in "abd":
        age(id, 31)
    batches()
    assert there() == "abc"
    assert responses.read(ANN, "a").id == "a"
    assert len(responses.context(ANN, "c")) == 6


def test_what_is_old_is_hidden_before_any_of_it_is_removed(monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 1)
    keep("a")
    age("a", 31)
    whole = responses.context(ANN, "a")
    while retention.batch(30):
        assert not responses.live(ANN, "a").exists()
        assert responses.items(ANN, ["a-in", "a-out"]) == {}
    assert (len(whole), there()) == (2, "")


def test_no_batch_takes_more_than_its_share(monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    for number in range(5):
        written(response(str(number), items=tuple(map(item, "abc"))))
        age(str(number), 31)

    def rows() -> int:
        return StoredResponse.objects.count() + StoredItem.objects.count()

    before, most = rows(), 0
    while retention.batch(30):
        most, before = max(most, before - rows()), rows()
    assert (most, rows()) == (2, 0)


def test_a_deleted_response_goes_later_and_only_once_nothing_continues_from_it():
    keep("a", "b")
    for id in "ab":
        responses.delete(ANN, id)
    assert batches() == []
    StoredResponse.objects.filter(response_id="a").update(removable=just_now())
    assert batches() == []
    StoredResponse.objects.filter(response_id="b").update(removable=just_now())
    assert batches()[-1] == ""


def test_those_that_have_to_stay_are_in_nobodys_way(monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 1)
    keep("a", "b")
    keep("c")
    long_ago = just_now() - timedelta(hours=1)
    StoredResponse.objects.filter(response_id="a").update(removable=long_ago)
    StoredResponse.objects.filter(response_id="c").update(removable=just_now())
    batches()
    assert there() == "ab"


def test_one_that_is_being_removed_is_continued_by_nobody():
    keep("a")
    StoredResponse.objects.update(removable=just_now())
    with RunningStore() as store:
        store.keep_written(response("b", previous="a"))
        assert store.lost == 1


def test_one_that_is_being_generated_stays_however_old():
    background.begin(queued("a"), timedelta(minutes=1))
    age("a", 31)
    assert batches() == []


def test_a_conversation_goes_by_its_last_use():
    for id in ("old", "used"):
        conversations.create(ANN, id, {}, [item("1")])
    long_ago = timezone.now() - timedelta(days=31)
    StoredConversation.objects.update(used=long_ago, created=long_ago)
    conversations.add(ANN, "used", [item("2")])
    batches()
    [left] = StoredConversation.objects.all()
    assert left.conversation_id == "used"
    assert ids(conversations.context(ANN, "used")) == ["1", "2"]
    assert StoredItem.objects.count() == 2


def test_a_deleted_conversation_goes_with_its_items():
    conversations.create(ANN, "c", {}, [item("1")])
    conversations.delete(ANN, "c")
    batches()
    assert not StoredConversation.objects.exists()
    assert not StoredItem.objects.exists()


def test_a_started_store_removes_what_is_old():
    keep("a", "b")
    conversations.create(ANN, "c", {}, [item("1")])
    StoredConversation.objects.update(used=timezone.now() - timedelta(days=31))
    for id in "ab":
        age(id, 31)
    with RunningStore() as store:
        store.start()
        eventually(lambda: not there() and not StoredConversation.objects.exists(), 5)
    assert not threads()


def test_where_nothing_is_kept_any_more_what_was_kept_goes():
    keep("a")
    with RunningStore(days=0) as store:
        store.start()
        eventually(lambda: not there(), 5)


def test_looking_for_what_is_to_go_uses_few_queries():
    for number in range(20):
        keep(str(number))
    with CaptureQueriesContext(connection) as made:
        retention.batch(30)
    assert len(made) <= 20


def test_one_that_is_continued_as_it_is_locked_stays():
    """Between the look for what is to go and its lock, another process may have gone on from it."""
    keep("a")
    StoredResponse.objects.update(removable=just_now())
    locking: list[str] = []

    def going_on(execute, sql, *rest):
        if (
            not locking
            and sql.startswith("SELECT")
            and "removable" not in sql.partition("WHERE")[2]
        ):
            locking.append(sql)
            StoredResponse.objects.filter(response_id="a").update(removable=None)
            written(response("b", previous="a"))
            StoredResponse.objects.filter(response_id="a").update(removable=just_now())
        return execute(sql, *rest)

    with connection.execute_wrapper(going_on):
        retention.batch(30)

    assert locking
    assert there() == "ab"
    assert StoredItem.objects.filter(response__response_id="a").exists()
