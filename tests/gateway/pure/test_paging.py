"""Lists: what the query may ask, and which page comes of it."""

from __future__ import annotations

import contextlib
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import paging
from gateway.errors import InvalidRequest
from gateway.paging import INPUT_ITEMS, ITEMS, MODELS, Asked, Terms, among, asked
from gateway.state.values import Page


@pytest.mark.parametrize(
    ("query", "terms", "expected"),
    [
        (b"", ITEMS, Asked(20, "desc", None, None)),
        (b"limit=1", ITEMS, Asked(1, "desc", None, None)),
        (b"limit=100&order=asc&after=msg_1", ITEMS, Asked(100, "asc", "msg_1", None)),
        (b"limit=007", ITEMS, Asked(7, "desc", None, None)),
        (b"order=desc&before=msg_2", INPUT_ITEMS, Asked(20, "desc", None, "msg_2")),
        (b"after=a&before=b", INPUT_ITEMS, Asked(20, "desc", "a", "b")),
        (b"limit=1000&after_id=a/b&before_id=b%2Fc", MODELS, Asked(1000, "desc", "a/b", "b/c")),
        (b"after=a%C3%A9+b", ITEMS, Asked(20, "desc", "a\u00e9 b", None)),
        (b"include[]=x&api-version=1&&x", ITEMS, Asked(20, "desc", None, None)),
    ],
)
def test_a_query_asks_for_a_page(query, terms, expected):
    assert asked(query, terms) == expected


def test_a_list_has_its_own_order_by_default():
    assert asked(b"", ITEMS, default_order="asc").order == "asc"


@pytest.mark.parametrize(
    ("query", "terms", "param"),
    [
        (b"limit=0", ITEMS, "limit"),
        (b"limit=101", ITEMS, "limit"),
        (b"limit=1001", MODELS, "limit"),
        (b"limit=-1", ITEMS, "limit"),
        (b"limit=1.0", ITEMS, "limit"),
        (b"limit=", ITEMS, "limit"),
        (b"limit=ten", ITEMS, "limit"),
        ("limit=\u0663".encode(), ITEMS, None),
        (b"limit=%D9%A3", ITEMS, "limit"),  # a digit, but not one of ours
        (b"limit=" + b"1" * 5000, ITEMS, "limit"),
        (b"limit=1&limit=1", ITEMS, "limit"),
        (b"order=up", ITEMS, "order"),
        (b"order=", ITEMS, "order"),
        (b"order=ASC", ITEMS, "order"),
        (b"order=asc", MODELS, "order"),
        (b"after=", ITEMS, "after"),
        (b"after=a&after=b", ITEMS, "after"),
        (b"before=a", ITEMS, "before"),
        (b"after_id=a", ITEMS, "after_id"),
        (b"after=a", MODELS, "after"),
        (b"before=", INPUT_ITEMS, "before"),
        (b"after=%ff", ITEMS, None),
        (b"&".join([b"x=1"] * 101), ITEMS, None),
    ],
)
def test_a_bad_query_is_refused_by_the_name_of_its_parameter(query, terms, param):
    with pytest.raises(InvalidRequest) as caught:
        asked(query, terms)
    assert caught.value.param == param
    assert len(str(caught.value)) < 200


@given(
    st.binary(max_size=40)
    | st.text("limitorderafterbefore=&%0159[]", max_size=40).map(str.encode)
    | st.dictionaries(
        st.sampled_from(["limit", "order", "after", "before", "x"]), st.text(max_size=5)
    ).map(lambda pairs: urlencode(pairs).encode()),
    st.sampled_from([ITEMS, INPUT_ITEMS, MODELS]),
)
def test_any_query_is_a_page_or_a_refusal(query: bytes, terms: Terms):
    with contextlib.suppress(InvalidRequest):
        page = asked(query, terms)
        assert 1 <= page.limit <= terms.most
        assert page.order in ("asc", "desc")


@pytest.mark.parametrize("query", [b"include=a&include=b", b"include[]=a&include%5B%5D=b"])
def test_a_list_in_the_query_is_written_either_way(query):
    assert paging.every(query + b"&includes=c", "include") == ["a", "b"]


def test_a_value_that_is_not_known_is_refused_and_repeated_in_part_only():
    assert paging.all_of(b"include=a", "include", {"a"}) == ["a"]
    with pytest.raises(InvalidRequest) as caught:
        paging.all_of(b"include=a&include=" + b"b" * 5000, "include", {"a"})
    assert caught.value.param == "include"
    assert len(str(caught.value)) < 300


IDS = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("limit", "after", "before", "expected"),
    [
        (2, None, None, (["a", "b"], True)),
        (5, None, None, (IDS, False)),
        (2, "b", None, (["c", "d"], True)),
        (3, "b", None, (["c", "d", "e"], False)),
        (2, "bb", None, (["c", "d"], True)),  # it has gone since
        (2, "e", None, ([], False)),
        (2, None, "d", (["b", "c"], True)),
        (3, None, "d", (["a", "b", "c"], False)),
        (2, None, "a", ([], False)),
        (2, "a", "e", (["b", "c"], True)),
        (2, "d", "b", ([], False)),
    ],
)
def test_a_page_is_what_stands_by_its_cursors(limit, after, before, expected):
    assert among(IDS, Asked(limit, "desc", after, before)) == expected


@given(st.sets(st.text(max_size=3)).map(sorted), st.integers(1, 5))
def test_the_pages_give_every_id_once_in_both_directions(ids, limit):
    onward: list[str] = []
    more = True
    while more:
        page, more = among(ids, Asked(limit, "desc", onward[-1] if onward else None, None))
        onward += page
    back: list[str] = []
    more = bool(ids)
    before = ids[-1] + "\U0010ffff" if ids else None
    while more:
        page, more = among(ids, Asked(limit, "desc", None, back[0] if back else before))
        back = [*page, *back]
    assert onward == back == ids


@pytest.mark.parametrize(
    ("items", "has_more", "first", "last"),
    [
        ([], False, "", ""),
        ([b'{"id":"a","n":1.50}'], False, "a", "a"),
        ([b'{"id":"b"}', b'{"type":"x"}', b'{"id":"a"}'], True, "b", "a"),
    ],
)
def test_a_page_is_answered_with_its_items_as_they_were_kept(items, has_more, first, last):
    answered = paging.listed(Page(items, has_more))
    assert json.loads(answered) == {
        "object": "list",
        "data": [json.loads(item) for item in items],
        "first_id": first,
        "last_id": last,
        "has_more": has_more,
    }
    assert all(item in answered for item in items)
