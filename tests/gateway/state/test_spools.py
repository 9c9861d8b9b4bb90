"""Responses that the database does not take yet: on the disk, over the end of their process."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import StateUnavailable, UnknownResponse
from gateway.models import StoredItem, StoredResponse
from gateway.state.spool import Spool, folder
from gateway.state.values import Copy, StateLimits
from gateway.state.waiting import LEAST_CHARGED_BYTES, Entry
from tests.gateway.state.stores import (
    ANN,
    PATIENT,
    RunningStore,
    ids,
    item,
    locked,
    response,
    unwritable,
    without_responses,
)
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)

ROOM = 2**24
HURRIED = replace(PATIENT, pauses_seconds=(0.01,), slow_seconds=0.05, lease_check_seconds=0.05)
FORGETFUL = replace(HURRIED, held_bytes=0)
"""Nothing that stands in the spool is in memory as well."""
SHORT = replace(HURRIED, state_seconds=0.2)


@pytest.fixture
def spools(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def running(spools: Path, limits: StateLimits = HURRIED, most_bytes: int = ROOM) -> RunningStore:
    return RunningStore(limits=limits, spool=lambda: Spool(spools, most_bytes))


@pytest.fixture
def store(spools: Path, transactional_db: object) -> Iterator[RunningStore]:
    with running(spools) as store:
        yield store


def keep_safely(store: RunningStore, *copies: Copy) -> None:
    """Return once their answers may end."""
    entries: list[Entry] = [store.keep(copy) for copy in copies]
    for entry in entries:
        store.until_safe(entry)
        assert not entry.lost


def kept() -> list[str]:
    return list(StoredResponse.objects.order_by("pk").values_list("response_id", flat=True))


@contextlib.contextmanager
def away(folder: Path) -> Iterator[None]:
    """No new file can be made there."""
    elsewhere = folder.with_name("elsewhere")
    folder.rename(elsewhere)
    yield
    elsewhere.rename(folder)


def test_what_waits_while_the_database_is_away_is_on_the_disk(store, spools) -> None:
    with without_responses():
        keep_safely(store, response("1"), response("2"))
        [file] = folder.files(spools)
        assert b"1-out" in file.read_bytes()
    store.write_out()
    eventually(lambda: file.stat().st_size == 0)
    assert (kept(), store.lost) == (["1", "2"], 0)


def test_the_folder_and_its_files_are_their_owners_alone(store, spools) -> None:
    store.keep_written(response("1"))
    [file] = eventually(lambda: folder.files(spools))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (spools, file)] == [0o700, 0o600]


def test_after_a_crash_all_of_it_is_written_once(spools) -> None:
    with running(spools) as store:
        store.keep_written(response("0"))
        with without_responses():
            keep_safely(store, *(response(str(n), previous=str(n - 1)) for n in range(1, 4)))
            store.crash()
    with running(spools) as again:
        again.start()
        eventually(lambda: len(kept()) == 4)
        assert len(ids(again.context(ANN, "3"))) == 8
        eventually(lambda: [path.stat().st_size for path in folder.files(spools)] == [0])
    assert (kept(), StoredItem.objects.count()) == (["0", "1", "2", "3"], 8)


def test_another_process_writes_what_one_that_is_gone_has_left(store, spools) -> None:
    store.start()
    with running(spools) as dying, without_responses():
        keep_safely(dying, response("1"))
        dying.crash()
    eventually(lambda: kept() == ["1"])


def test_what_was_written_when_the_process_ended_is_not_written_again(spools) -> None:
    """Its end came between the commit and the word of it in the file."""
    with running(spools) as store:
        with without_responses():
            keep_safely(store, response("1"))
            [file] = folder.files(spools)
            left = file.read_bytes()
        store.write_out()
        store.delete(ANN, "1")
        store.crash()
    file.write_bytes(left)
    with running(spools) as again:
        again.start()
        eventually(lambda: file not in folder.files(spools))
        with pytest.raises(UnknownResponse):
            again.response(ANN, "1")
    assert kept() == ["1"]


def test_what_was_deleted_while_it_waited_stays_deleted(spools) -> None:
    with running(spools) as store, without_responses():
        keep_safely(store, response("1"), response("2", previous="1"))
        store.delete(ANN, "1")
        store.crash()
    with running(spools) as again:
        again.start()
        eventually(lambda: len(kept()) == 2)
        with pytest.raises(UnknownResponse):
            again.response(ANN, "1")
        assert len(ids(again.context(ANN, "2"))) == 4


def test_a_stop_leaves_what_the_database_does_not_take(spools, caplog) -> None:
    with running(spools) as store:
        with without_responses():
            for number in range(500):
                store.keep(response(str(number)))
            store.stop(0.05)
        assert store.lost == 0
    assert "500 responses wait in the spool" in caplog.text
    with running(spools) as again:
        again.start()
        eventually(lambda: len(kept()) == 500)
    assert folder.files(spools) == []


def test_one_process_waits_for_what_another_has_not_written_yet(store, spools) -> None:
    conversation = store.create_conversation(ANN, {}, [item("first")]).id
    with running(spools) as other:
        with locked():
            keep_safely(other, response("1"), response("2", conversation=conversation))
            asked = [
                store.begun(store.store.response, ANN, "1"),
                store.begun(store.store.context, ANN, "1"),
                store.begun(store.store.conversation_context, ANN, conversation),
                store.begun(store.store.items, ANN, ["2-out"]),
            ]
            assert not any(each.done() for each in asked)
        shown, context, turns, items = (each.result(PATIENCE_SECONDS) for each in asked)
    assert (shown.id, ids(context)) == ("1", ["1-in", "1-out"])
    assert ids(turns) == ["first", "2-in", "2-out"]
    assert list(items) == ["2-out"]


def test_what_another_process_cannot_write_is_told_to_be_on_its_way(spools) -> None:
    with running(spools, SHORT) as store, running(spools) as other:
        conversation = store.create_conversation(ANN, {}).id
        with unwritable():
            keep_safely(other, response("1"), response("2", conversation=conversation))
            for ask in (
                lambda: store.response(ANN, "1"),
                lambda: store.context(ANN, "1"),
                lambda: store.conversation_context(ANN, conversation),
            ):
                with pytest.raises(StateUnavailable, match="waits to be written"):
                    ask()
            with pytest.raises(UnknownResponse):
                store.response(ANN, "3")


def test_what_is_too_much_for_the_memory_is_in_the_spool_alone(spools) -> None:
    with running(spools, FORGETFUL) as store:
        conversation = store.create_conversation(ANN, {}).id
        with locked():
            keep_safely(store, response("1"), response("2", conversation=conversation))
            assert store.store._backlog.waiting.held_bytes == 0
            asked = [
                store.begun(store.store.response, ANN, "1"),
                store.begun(store.store.context, ANN, "1"),
                store.begun(store.store.items, ANN, ["2-out"]),
            ]
        shown, context, items = (each.result(PATIENCE_SECONDS) for each in asked)
        assert (shown.id, len(context), list(items)) == ("1", 2, ["2-out"])
        assert len(store.conversation_context(ANN, conversation)) == 2


def test_only_what_finds_no_room_in_the_spool_is_dropped_and_counted(spools, caplog) -> None:
    with running(spools, FORGETFUL, most_bytes=3 * LEAST_CHARGED_BYTES) as store:
        with locked():
            keep_safely(store, *(response(str(number)) for number in range(3)))
            dropped = store.keep(response("3"))
            store.until_safe(dropped)
            assert (store.lost, dropped.lost) == (
                1,
                "the spool is full: 12288 bytes wait to be written",
            )
        store.write_out()
        store.keep_written(response("4"))
    assert kept() == ["0", "1", "2", "4"]
    assert "not kept: 1; the last: the spool is full" in caplog.text


def test_without_a_folder_responses_wait_in_memory_alone_and_the_log_says_so(
    tmp_path, caplog
) -> None:
    (tmp_path / "spool").write_text("no folder")
    with running(tmp_path / "spool") as store:
        with locked():
            keep_safely(store, response("1"))
        store.write_out()
    assert kept() == ["1"]
    assert caplog.text.count("cannot be used (File exists)") == 1
    assert os.strerror(errno.EEXIST) == "File exists"


def test_while_the_disk_takes_nothing_responses_wait_in_memory(spools, caplog) -> None:
    caplog.set_level("INFO", "aurora.state")
    alone = replace(HURRIED, lease_check_seconds=NEVER_SECONDS)
    small = RunningStore(limits=alone, spool=lambda: Spool(spools, ROOM, segment_bytes=1))
    with small as store:
        with locked():
            keep_safely(store, response("1"))
            with away(spools):
                keep_safely(store, response("2"), response("3"))  # a file may be there for one
            keep_safely(store, response("4"))
        store.write_out()
        assert (kept(), store.lost) == (["1", "2", "3", "4"], 0)
    assert caplog.text.count("cannot be used (No such file or directory)") == 1
    assert caplog.text.count("can be written again") == 1
