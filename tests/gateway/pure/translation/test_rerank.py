"""Documents as Cohere's and Jina's clients send them: what vLLM gets, and what comes back."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calls import read_members
from gateway.errors import InvalidRequest, UpstreamBroke
from gateway.translation import rerank
from tests import recorded
from tests.gateway.pure.translation.responses_client import unhurried

PATH = "/v1/rerank"
MODEL = "BAAI/bge-reranker-v2-m3"
ANSWER = recorded.load("rerank_rerank_rerank")
PNG = "iVBORw0KGgoAAAANSUhEUg=="


def translated(documents: bytes, *more: bytes):
    """What a call with these documents and members becomes; None: it goes as it came."""
    members = [b'"model":"public/name"', b'"query":"q"', b'"documents":' + documents, *more]
    return rerank.to_vllm(read_members(b"{" + b",".join(members) + b"}"), MODEL, PATH)


def put(call: object) -> Any:
    """The body that is sent for a call, which must not go as it came."""
    translation = rerank.to_vllm(read_members(json.dumps(call).encode()), MODEL, PATH)
    assert translation is not None
    return json.loads(translation.body)


def sent(documents: bytes, *more: bytes):
    translation = translated(documents, *more)
    assert translation is not None
    assert translation.path == PATH
    return json.loads(translation.body)


@pytest.mark.parametrize(
    "documents",
    [
        b'["a","b"]',
        b'"a"',
        b"[]",
        b"null",
        b"7",
        b'[{"content":[{"type":"text","text":"a"}]}, "b"]',
        b'{"content":[]}',
        b'[{"text":"beside it","content":[{"type":"text","text":"a"}]}]',
    ],
)
@pytest.mark.parametrize(
    "more",
    [(), (b'"return_documents":true',), (b'"return_documents":null', b'"rank_fields":null')],
)
def test_what_vllm_takes_or_words_itself_goes_as_it_came(documents, more):
    assert translated(documents, *more) is None


def test_a_call_without_documents_or_query_is_vllms_to_refuse():
    assert rerank.to_vllm(read_members(b'{"model":"m"}'), MODEL, PATH) is None


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        (rb'[{"text":"a\u0041\/"},"b"]', rb'["a\u0041\/","b"]'),
        (b'[ "b" , {"id" : 7, "text" : "" } ]', b'["b",""]'),
        (b'{"text":"one alone"}', b'["one alone"]'),
        (b'[{"title":"t","text":"a"},{"content":[{"type":"text","text":"b"}]}]',
         b'["a",{"content":[{"type":"text","text":"b"}]}]'),
        (b'[{"content":"no list","text":"a"}]', b'["a"]'),
    ],
)  # fmt: skip
def test_the_text_of_an_object_is_sent_with_its_bytes(documents, expected):
    translation = translated(documents, b'"top_n":1e0', b'"max_tokens_per_doc":4096')

    assert translation.body == (
        b'{"model":"%b","query":"q","documents":%b,"top_n":1e0,"max_tokens_per_doc":4096}'
        % (MODEL.encode(), expected)
    )


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("https://example.org/a.png", "https://example.org/a.png"),
        ("http://example.org/a", "http://example.org/a"),
        ("data:image/gif;base64,R0lGOD", "data:image/gif;base64,R0lGOD"),
        (PNG, f"data:image/png;base64,{PNG}"),
        ("/9j/4AAQ", "data:image/jpeg;base64,/9j/4AAQ"),
        ("UklGRg==", "data:image/webp;base64,UklGRg=="),
        ("R0lGODlh", "data:image/gif;base64,R0lGODlh"),
    ],
)
@pytest.mark.parametrize("member", ["documents", "query"])
def test_an_image_is_sent_as_vllms_content(image, url, member):
    given_image = {"image": image, "id": 1}
    call = {"model": "m", "query": "q", "documents": ["b"]} | {
        member: given_image if member == "query" else ["b", given_image]
    }

    body = put(call)

    content = {"content": [{"type": "image_url", "image_url": {"url": url}}]}
    assert body[member] == (content if member == "query" else ["b", content])


def test_a_query_may_be_an_object_too():
    assert put({"query": {"text": "q"}, "documents": ["a"]})["query"] == "q"


def test_vllms_own_query_goes_as_it_came():
    members = read_members(b'{"model":"m","query":{"content":[]},"documents":["a"]}')
    assert rerank.to_vllm(members, MODEL, PATH) is None


@pytest.mark.parametrize(
    ("fields", "document", "expected"),
    [
        (["title", "text"], {"text": "b", "title": "a", "id": 3}, "a\nb"),
        (["title"], {"text": "b", "title": "a"}, "a"),
        (["title", "text"], {"text": "b"}, "b"),
        (["text"], {"text": "b", "image": "thumb.png"}, "b"),
        (["content"], {"content": "c"}, "c"),
    ],
)
def test_the_fields_that_count_are_joined_by_lines(fields, document, expected):
    body = sent(
        json.dumps([document, "s"]).encode(), b'"rank_fields":' + json.dumps(fields).encode()
    )

    assert body["documents"] == [expected, "s"]
    assert "rank_fields" not in body


BAD = {
    "number": ('["a","b","c",7]', "documents[3]"),
    "null": ("[null]", "documents[0]"),
    "true": ('["a",true]', "documents[1]"),
    "array": ('["a",["b"]]', "documents[1]"),
    "empty object": ('["a",{}]', "documents[1]"),
    "no text": ('[{"title":"t"}]', "documents[0]"),
    "text no string": ('[{"text":7}]', "documents[0].text"),
    "text null": ('["a",{"text":null}]', "documents[1].text"),
    "image no string": ('[{"image":{"url":"x"}}]', "documents[0].image"),
    "text and image": ('[{"text":"a","image":"x"}]', "documents[0]"),
    "content no list": ('[{"content":"a"}]', "documents[0]"),
    "none alone": ("{}", "documents[0]"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_document_is_named(case):
    documents, param = BAD[case]
    with pytest.raises(InvalidRequest) as caught:
        translated(documents.encode())
    assert caught.value.param == param
    assert f"`{param}`" in str(caught.value)


@pytest.mark.parametrize(
    ("member", "param"),
    [
        (b'"rank_fields":"text"', "rank_fields"),
        (b'"rank_fields":[]', "rank_fields"),
        (b'"rank_fields":[1]', "rank_fields"),
        (b'"rank_fields":["missing"]', "documents[1]"),
        (b'"rank_fields":' + json.dumps(["x"] * 101).encode(), "rank_fields"),
        (b'"return_documents":"no"', "return_documents"),
        (b'"return_documents":0', "return_documents"),
    ],
)
def test_a_bad_option_is_named(member, param):
    with pytest.raises(InvalidRequest) as caught:
        translated(b'["a",{"text":"b"}]', member)
    assert caught.value.param == param


@pytest.mark.parametrize("document", ['""', '"\\\\"', '","', "{}", "0"])
def test_too_many_documents_are_refused(document):
    with pytest.raises(InvalidRequest, match="10000 at most") as caught:
        translated(f"[{','.join([document] * 10_001)}]".encode())
    assert caught.value.param == "documents"


def test_as_many_documents_as_may_be_are_taken():
    assert len(sent(b"[" + b",".join([b'{"text":"a"}'] * 10_000) + b"]")["documents"]) == 10_000


@pytest.mark.parametrize("member", ["documents", "rank_fields", "query", "other"])
def test_far_too_many_values_are_not_read(member):
    values = f'"{member}":[{",".join(["7"] * 100_000)}]'.encode()
    with pytest.raises(InvalidRequest, match="more than 100000 values"):
        translated(b'["a"]', values)


@pytest.mark.parametrize(
    "broken",
    [b'{"\xff":"b","text":"a"}', b'{"text":"a","x":%b1%b}' % (b"[" * 5000, b"]" * 5000)],
)
@pytest.mark.parametrize("member", ["documents", "query"])
def test_what_cannot_be_decoded_is_named(broken, member):
    value = msgspec.Raw(broken if member == "query" else b'["a",' + broken + b"]")
    members = {"query": msgspec.Raw(b'"q"'), "documents": msgspec.Raw(b'["a"]'), member: value}
    with pytest.raises(InvalidRequest) as caught:
        rerank.to_vllm(members, MODEL, PATH)
    assert str(caught.value.param).startswith(member)


def test_an_invalid_name_is_laid_to_its_document():
    with pytest.raises(InvalidRequest) as caught:
        translated(b'["a",{"\xff":"b"}]')
    assert caught.value.param == "documents[1]"


@pytest.mark.parametrize("document", [b"{}", b'{"%b":7}' % (b"x" * 5000)])
def test_a_long_name_is_not_repeated_whole(document):
    with pytest.raises(InvalidRequest) as caught:
        translated(b"[%b]" % document, b'"rank_fields":["%b"]' % (b"x" * 5000))
    assert len(str(caught.value)) < 150
    assert len(str(caught.value.param)) < 120


def test_commas_within_texts_are_not_counted():
    text = '"' + r",\"," * 60_000 + '"'
    assert translated(f"[{text},{text}]".encode()) is None


def results(answer: bytes):
    return json.loads(answer)["results"]


def test_an_objects_result_holds_what_the_caller_sent_byte_for_byte():
    own = rb'{ "text" : "A lazy dog.\u0041", "id":1e5,"nested":{"a":[1.0]} }'
    translation = translated(b'["The capital of France is Paris.",{"text":"b"},%b]' % own)

    answer = translation.whole(ANSWER.body)

    assert own in answer
    assert [result["index"] for result in results(answer)] == [2, 1, 0]
    assert results(answer)[1]["document"] == {"text": "b"}
    assert results(answer)[2] == ANSWER.json["results"][2]


def test_every_number_keeps_its_bytes():
    told = b'{"id":"s","usage":{"total_tokens":4.60e1},"results":[%b]}' % b",".join(
        b'{"index":%d,"document":{"text":"x"},"relevance_score":%b}' % (at, score)
        for at, score in enumerate((b"0.49363312125205994000", b"1E-7", b"-0.0"))
    )
    answer = translated(b'["a","b","c"]', b'"return_documents":false').whole(told)

    assert answer == (
        b'{"id":"s","usage":{"total_tokens":4.60e1},"results":['
        b'{"index":0,"relevance_score":0.49363312125205994000},'
        b'{"index":1,"relevance_score":1E-7},{"index":2,"relevance_score":-0.0}]}'
    )


def test_return_documents_false_leaves_them_out_and_is_not_sent():
    translation = translated(b'["a",{"text":"b"},"c"]', b'"return_documents":false')

    assert json.loads(translation.body)["documents"] == ["a", "b", "c"]
    assert "return_documents" not in json.loads(translation.body)
    told = results(translation.whole(ANSWER.body))
    assert [set(result) for result in told] == [{"index", "relevance_score"}] * 3
    assert [result["relevance_score"] for result in told] == [
        result["relevance_score"] for result in ANSWER.json["results"]
    ]


def test_strings_alone_are_sent_with_their_bytes_when_documents_are_not_wanted():
    translation = translated(rb'[ "a\u0041" ,"b"]', b'"return_documents":false')
    assert translation.body == (
        rb'{"model":"%b","query":"q","documents":[ "a\u0041" ,"b"]}' % MODEL.encode()
    )


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{}", b"null", b'{"results":{}}', b'{"results":[7]}', b'{"results":[{}]}',
     b'{"results":[{"index":"0"}]}', b'{"results":[{"index":0.5}]}', b"\xff", b"[" * 100_000],
)  # fmt: skip
def test_an_answer_that_is_none_is_the_servers_fault(answer):
    with pytest.raises(UpstreamBroke):
        translated(b'[{"text":"a"}]').whole(answer)


def test_a_stream_is_the_servers_fault():
    with pytest.raises(UpstreamBroke):
        translated(b'[{"text":"a"}]').stream()


TEXTS = st.text(max_size=20)
PLAIN = TEXTS | st.fixed_dictionaries(
    {"content": st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}))}
)
OBJECTS = st.fixed_dictionaries(
    {"text": TEXTS},
    optional={"id": st.integers(), "score": st.floats(allow_nan=False, allow_infinity=False)},
)


@unhurried
@given(st.lists(PLAIN | OBJECTS, max_size=8), st.booleans())
def test_any_documents_come_back_as_they_were_sent(documents, shown):
    members = [b'"return_documents":%b' % msgspec.json.encode(shown)]
    translation = translated(msgspec.json.encode(documents), *members)
    if translation is None:
        assert shown
        assert not any(isinstance(each, dict) and "text" in each for each in documents)
        return
    taken = json.loads(translation.body)["documents"]
    told = [
        {"index": at, "document": {"text": "vLLM's"}, "relevance_score": 0.5}
        for at in range(len(taken))
    ]

    answered = results(translation.whole(msgspec.json.encode({"results": told})))

    assert len(taken) == len(documents)
    for document, put, result in zip(documents, taken, answered, strict=True):
        own = isinstance(document, dict) and "text" in document
        assert put == (document["text"] if own else document)
        expected = document if own else {"text": "vLLM's"}
        assert result.get("document") == (expected if shown else None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "image", "content", "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@unhurried
@given(JSON, JSON, JSON, JSON)
def test_any_call_is_sent_or_refused(documents, query, fields, shown):
    call = {"documents": documents, "query": query, "rank_fields": fields,
            "return_documents": shown}  # fmt: skip
    members = read_members(msgspec.json.encode(call))
    with contextlib.suppress(InvalidRequest):
        translation = rerank.to_vllm(members, MODEL, PATH)
        assert translation is None or json.loads(translation.body)["model"] == MODEL
