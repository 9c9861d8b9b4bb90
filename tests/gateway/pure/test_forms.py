"""Where the `model` stands in a form, whatever else is in it, and that nothing else changes."""

from __future__ import annotations

import contextlib
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import forms
from gateway.errors import InvalidRequest

BOUNDARY = b"----WebKitFormBoundary7MA4YWxkTrZu0gW"
TYPE = b"multipart/form-data; boundary=" + BOUNDARY
AUDIO = b"RIFF\x00\xff\r\n\r\n--\r\n------WebKit\r\ndata"
FILE = (b'name="file"; filename="a.wav"', AUDIO)


def form(*parts: tuple[bytes, bytes], boundary: bytes = BOUNDARY) -> bytes:
    """Each part is what its Content-Disposition says behind `form-data; `, and its content."""
    written = [
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (boundary, *part)
        for part in parts
    ]
    return b"".join(written) + b"--%b--\r\n" % boundary


def model(name: bytes = b"alpha/whisper") -> tuple[bytes, bytes]:
    return b'name="model"', name


def refused(body: bytes, content_type: bytes = TYPE) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        forms.parse(body, content_type)
    return caught.value


@pytest.mark.parametrize("before", [[], [FILE], [(b'name="prompt"', b'name="model"\r\n\r\nno')]])
@pytest.mark.parametrize("after", [[], [FILE], [(b'name="models"', b"no"), (b'name="x"', b"")]])
@pytest.mark.parametrize("name", [b"m", b"alpha/org/whisper", "modèle ☕".encode(), b" a\r\nb "])
def test_the_model_is_found_anywhere(before, after, name):
    body = form(*before, model(name), *after)

    found = forms.parse(body, TYPE)

    assert found.selector == name.decode()
    assert found.body_for("öther") == form(*before, model("öther".encode()), *after)


@pytest.mark.parametrize(
    "head",
    [
        b"content-disposition:form-data;name=model",
        b'CONTENT-DISPOSITION: form-data; NAME="model"',
        b'Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="model"',
        b"Content-Disposition: form-data; name=\"model\"; name*=utf-8''other",
        b'X-A: 1\r\nContent-Disposition: form-data; x="a;b"; name="model"\r\nX-B: 2',
    ],
)
def test_a_part_may_be_headed_in_many_ways(head):
    body = b"--B\r\n%b\r\n\r\nm\r\n--B--" % head
    assert forms.parse(body, b"multipart/form-data; boundary=B").selector == "m"


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b'Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        (b"multipart/form-data;boundary=x", b"x"),
        (b"multipart/form-data; boundary=" + b"b" * 70, b"b" * 70),
    ],
)
def test_a_boundary_may_be_written_in_many_ways(content_type, boundary):
    body = form(FILE, model(), boundary=boundary)
    assert forms.parse(body, content_type).selector == "alpha/whisper"


def test_what_stands_around_the_form_is_kept():
    body = b"\r\n" + form(model(b"m")) + b"epilogue\r\n--" + BOUNDARY + b"?"
    assert forms.parse(body, TYPE).body_for("n") == body.replace(b"\r\nm\r\n", b"\r\nn\r\n")


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"application/json",
        b"multipart/mixed; boundary=" + BOUNDARY,
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary*=" + BOUNDARY,
        b"multipart/form-data; boundary=" + b"x" * 71,
        b"multipart/form-data; boundary=other",
        b"\xff;boundary",
        TYPE + b";" * 16,
        TYPE + b"; x=" + b"x" * 1024,
    ],
)
def test_what_is_no_form_by_its_content_type_is_refused(content_type):
    assert refused(form(FILE, model()), content_type).param is None


MODELS = {
    "missing": [FILE],
    "no part": [],
    "twice": [model(), FILE, model()],
    "a file": [(b'name="model"; filename="m"', b"alpha/whisper")],
    "empty": [model(b"")],
    "too long": [model(b"m" * 513)],
    "far too long": [model(b"m" * 100_000)],
    "not UTF-8": [model(b"\xff")],
}


@pytest.mark.parametrize("case", MODELS)
def test_a_form_must_name_one_model(case):
    assert refused(form(*MODELS[case])).param == "model"


WHOLE = form(FILE, model())
BROKEN = {
    "empty": b"",
    "JSON": b'{"model":"m"}',
    "no end": WHOLE.removesuffix(b"--\r\n"),
    "half an end": WHOLE.removesuffix(b"-\r\n"),
    "no last boundary": WHOLE[: WHOLE.rindex(b"\r\n--")],
    "end within the file": WHOLE[:120],
    "end within a header": WHOLE[:60],
    "part without a name": form((b'filename="x"', b""), model()),
    "part without headers": b"--%b\r\n\r\nx\r\n" % BOUNDARY + form(model()),
    "header without a colon": form((b'name="a"\r\nnope', b"x"), model()),
    "header too long": form((b'name="a"\r\nX: ' + b"x" * 5000, b"x"), model()),
    "header never ended": form((b'name="a"; x="' + b"x" * 100_000, b"x"), model()),
    "too many headers": form((b'name="a"' + b"\r\nX: x" * 8, b"x"), model()),
    "too long a disposition": form((b'name="a"; x="' + b"x" * 1024 + b'"', b"x"), model()),
    "too many options": form((b'name="a"' + b";" * 16, b"x"), model()),
    "too many parts": form(*[(b'name="a"', b"")] * 101, model()),
    "boundary within a part": form((b'name="a"', b"\r\n--" + BOUNDARY + b"x"), model()),
    "blanks behind a boundary": WHOLE.replace(b"gW\r\n", b"gW \r\n"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_form_is_refused(case):
    error = refused(BROKEN[case])
    assert (error.status, error.param) == (400, None)


def test_as_many_parts_as_may_be_are_read():
    assert forms.parse(form(*[(b'name="a"', b"x")] * 99, model()), TYPE).selector


def steps_through_type(content_type: bytes) -> int:
    return steps_through(WHOLE, content_type)


def steps_through(body: bytes, content_type: bytes = TYPE) -> int:
    """How many lines of Python the reading of `body` takes, whether or not it is a form."""
    steps = 0

    def count(frame, event, argument):
        nonlocal steps
        steps += event == "line"
        return count

    traced = sys.gettrace()
    sys.settrace(count)
    try:
        with contextlib.suppress(InvalidRequest):
            forms.parse(body, content_type)
    finally:
        sys.settrace(traced)
    return steps


DELIMITER = b"\r\n--" + BOUNDARY


@pytest.mark.parametrize(
    "filler",
    [DELIMITER, DELIMITER + b" ", DELIMITER + b"\r", DELIMITER[:-1], b"\r\n--", b"\r", b"-", b" "],
)
@pytest.mark.parametrize("before", [b"", DELIMITER])
def test_no_content_is_stepped_through(filler, before):
    content = before + filler * (200_000 // len(filler))
    assert steps_through(form((b'name="a"', content), model())) < 20_000


@pytest.mark.parametrize("options", [b";" * 3500, b"; a=b" * 700, b"; " * 1750, b"; a*1=b" * 500])
def test_no_options_are_stepped_through(options):
    assert steps_through(form((b'name="a"' + options, b""), model())) < 1000
    assert steps_through_type(TYPE + options) < 100


def test_as_many_options_as_may_be_are_read():
    padding = b'; x="' + b"x" * 900 + b'"' + b";" * 14
    assert forms.parse(form((b'name="a"' + padding, b""), model()), TYPE + b";" * 15).selector


CONTENTS = st.binary(max_size=40) | st.lists(
    st.sampled_from([b"\r\n", b"--", BOUNDARY[:-1], b"\r", b"\n", b"-", b'name="model"', b"x"]),
    max_size=12,
).map(b"".join)
NAMES = st.sampled_from([b"file", b"prompt", b"models", b"stream", b"Model"])
PARTS = st.lists(st.tuples(NAMES.map(lambda name: b'name="%b"' % name), CONTENTS), max_size=5)
SELECTORS = st.text(min_size=1, max_size=20)


@given(PARTS, SELECTORS, PARTS, SELECTORS)
def test_rewriting_the_model_keeps_every_other_byte(before, selector, after, other):
    found = forms.parse(form(*before, model(selector.encode()), *after), TYPE)

    assert found.selector == selector
    assert found.body_for(other) == form(*before, model(other.encode()), *after)


@given(st.integers(0, len(WHOLE)), st.binary(max_size=6), st.integers(0, 40))
@example(0, b"", 0)
def test_any_form_cut_or_garbled_is_refused_or_read_right(at, put, dropped):
    body = WHOLE[:at] + put + WHOLE[at + dropped :]
    with contextlib.suppress(InvalidRequest):
        found = forms.parse(body, TYPE)
        assert found.selector == body[found.start : found.end].decode()
        assert body[: found.start].endswith(b"\r\n\r\n")
        assert body[found.end :].startswith(b"\r\n--" + BOUNDARY)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(garbage):
    assert refused(garbage).status == 400
    assert refused(WHOLE, garbage).status == 400
