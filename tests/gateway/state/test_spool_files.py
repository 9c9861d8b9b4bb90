"""The files of a spool: what a record holds, what a crash leaves, whose a file is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.state.spool import records, segments
from gateway.state.spool.records import HEAD_BYTES, State
from gateway.state.spool.segments import Segment
from tests.gateway.state.stores import ANN, response

ODD = b'{"id":"r" , "text":"\\u0000 \xf0\x9f\x98\x80"}'
COPIES = [
    response("plain"),
    response("odd", body=ODD, items=(ODD, b""), output=(), previous="plain"),
    response("turn", conversation="conv_1", background=True, status="incomplete"),
]


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    return segments.create(tmp_path, "one", 0o600)


def test_a_copy_comes_back_from_its_record() -> None:
    assert [records.copy_of(records.encoded(copy)) for copy in COPIES] == COPIES


@pytest.mark.parametrize("at", [0, HEAD_BYTES + 3, -1], ids=["head", "mark", "rest"])
def test_a_damaged_record_is_known_as_one(at: int) -> None:
    record = bytearray(records.encoded(COPIES[1]))
    record[at] ^= 1
    assert records.copy_of(bytes(record)) is None


def left_in(path: Path) -> list[str]:
    segment = segments.take_over(path)
    assert segment is not None
    try:
        found = [
            (mark.id, segment.read(offset, head.record_bytes))
            for offset, head, mark in segment.waiting_records()
        ]
        assert segment.waiting == len(found)
    finally:
        segment.close()
    assert all(copy is not None and copy.id == id for id, copy in found)
    return [id for id, _ in found]


@pytest.mark.parametrize("cut", [1, 200, HEAD_BYTES], ids=["the end", "the middle", "the head"])
def test_a_last_record_that_a_crash_cut_short_is_left_out(segment: Segment, cut: int) -> None:
    for copy in COPIES[:2]:
        segment.append(records.encoded(copy))
    torn = records.encoded(replace(COPIES[2], body=b"x" * 1000))
    segment.append(torn[:cut] if cut == HEAD_BYTES else torn[:-cut])
    segment.close()

    assert left_in(segment.path) == ["plain", "odd"]


def test_a_damaged_record_costs_none_behind_it(segment: Segment) -> None:
    offsets = [segment.append(records.encoded(copy)) for copy in COPIES]
    segment.close()
    with segment.path.open("r+b") as file:
        file.seek(offsets[2] - 1)
        file.write(b"?")

    assert left_in(segment.path) == ["plain", "turn"]


def test_what_is_noted_of_a_record_outlives_the_process(segment: Segment) -> None:
    offsets = [segment.append(records.encoded(copy)) for copy in COPIES]
    segment.set_state(offsets[0], State.WRITTEN)
    segment.set_state(offsets[1], State.DELETED)
    segment.close()

    again = segments.take_over(segment.path)
    assert again is not None
    found = [(mark.id, head.state) for _, head, mark in again.waiting_records()]
    assert found == [("odd", State.DELETED), ("turn", State.WAITING)]


def test_a_file_that_a_living_process_has_is_left_to_it(segment: Segment) -> None:
    segment.append(records.encoded(COPIES[0]))
    assert segments.take_over(segment.path) is None
    segment.close()
    assert left_in(segment.path) == ["plain"]


def test_a_file_is_its_owners_alone(segment: Segment) -> None:
    assert segment.path.stat().st_mode & 0o777 == 0o600
    assert ANN.bytes not in segment.path.read_bytes()
