"""`VLLM_…` variables and the providers they make."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from providers.addresses import DEFAULT_BASE_URL
from providers.models import SLUG
from providers.seeding import environment, overlay
from providers.seeding.wanted import Wanted

A, B = "http://a:8000/v1", "http://b:8000/v1"


def wanted(**environ: str) -> dict[str, Wanted]:
    groups, problems = environment.read(environ)
    assert problems == []
    found, problems = overlay.overlaid(groups, [])
    assert problems == []
    return {one.name: one for one in found}


def problems(**environ: str) -> list[str]:
    return environment.read(environ)[1]


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("VLLM_BASE_URL", "vllm"),
        ("VLLM_TEST_BASE_URL", "vllm-test"),
        ("VLLM_Test_BASE_URL", "vllm-test"),
        ("VLLM_EU_WEST_1_BASE_URL", "vllm-eu-west-1"),
        ("VLLM_1_BASE_URL", "vllm-1"),
        ("VLLM_API_KEY_BASE_URL", "vllm-api-key"),
        ("VLLM_MODELS_BASE_URL", "vllm-models"),
        ("VLLM_BASE_URL_BASE_URL", "vllm-base-url"),
        ("VLLM_VLLM_BASE_URL", "vllm-vllm"),
        (f"VLLM_{'X' * 58}_BASE_URL", f"vllm-{'x' * 58}"),
    ],
)
def test_a_variable_names_its_provider(variable, name):
    assert list(wanted(**{variable: A})) == [name]


@pytest.mark.parametrize(
    "variable",
    [
        "VLLM_PORT",
        "VLLM_HOST_IP",
        "VLLM_USE_V2_MODEL_RUNNER",
        "VLLM_LOGGING_LEVEL",
        "VLLM_BUILD_URL",
        "VLLM_RPC_BASE_PATH",
        "VLLM_USE_MODELSCOPE",
        "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS",
        "VLLM_SERVICE_HOST",
        "VLLM_PORT_8000_TCP_ADDR",
        "VLLM_MODELS_SERVICE_HOST",
        "VLLM_API_VERSION",
        "VLLM_",
        "VLLM",
        "BASE_URL",
        "VLLMBASE_URL",
        "VLLM_XBASE_URL",
        "MY_VLLM_BASE_URL",
        "vllm_base_url",
        "VLLM_BASE_URL\n",
    ],
)
def test_other_variables_make_no_provider_and_no_problem(variable):
    assert wanted(**{variable: "8000"}) == {}


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
@pytest.mark.parametrize("variable", ["VLLM_BASE_URL", "VLLM_X_API_KEY", "VLLM__MODELS"])
def test_an_empty_variable_counts_as_unset(variable, value):
    assert wanted(**{variable: value}) == {}


def test_each_field_is_read():
    found = wanted(VLLM_BASE_URL=" http://a:8000/ ", VLLM_API_KEY=" key$1 ", VLLM_MODELS="m/1")

    assert found == {
        "vllm": Wanted("vllm", "env", base_url=A, api_key="key$1", models=("m/1",)),
    }
    assert found["vllm"].mode == "fallback"


@pytest.mark.parametrize("variable", ["VLLM_API_KEY", "VLLM_MODELS", "VLLM_X_API_KEY"])
def test_a_key_or_a_list_alone_means_the_default_url(variable):
    (found,) = wanted(**{variable: "something"}).values()

    assert found.base_url == DEFAULT_BASE_URL


def test_without_a_list_the_server_is_asked():
    assert wanted(VLLM_BASE_URL=A)["vllm"].mode == "discover"


@pytest.mark.parametrize(
    "text", [" org/b , a,, org/b ,a:x,", '"org/b","a", "a:x"', "org/b\na\na:x\n"]
)
def test_models_are_cleaned_and_listed_once_in_their_order(text):
    assert wanted(VLLM_MODELS=text)["vllm"].models == ("org/b", "a", "a:x")


def test_a_list_of_blanks_makes_no_provider():
    assert wanted(VLLM_MODELS=" , ,") == {}


def test_equal_urls_make_two_providers():
    found = wanted(VLLM_BASE_URL=A, VLLM_TEST_BASE_URL=A)

    assert [one.base_url for one in found.values()] == [A, A]


@pytest.mark.parametrize(
    "suffix", ["_", "_X", "X_", "A__B", "", "X-Y", "X.Y", "É", "٣", "A B", "X\n", "X" * 59]
)
@pytest.mark.parametrize("field", ["BASE_URL", "API_KEY", "MODELS"])
def test_an_unusable_suffix_is_a_problem(suffix, field):
    (problem,) = problems(**{f"VLLM_{suffix}_{field}": A})

    assert problem.startswith(f"VLLM_{suffix}_{field}: ")


@pytest.mark.parametrize(
    "url",
    [
        "foo",
        "ftp://h/v1",
        "http://",
        "http:///v1",
        "http://h:99999",
        "http://h:0",
        "http://h/v1?x=1",
        "http://h/v1#x",
        "http://user:hunter2@h/v1",
        "http://h/a b",
        "http://h/\x00",
        "http://h/\udcff",
        "${VLLM_HOST}",
        "http://${HOST:-h}/v1",
    ],
)
def test_a_bad_url_is_a_problem_that_names_the_variable(url):
    (problem,) = problems(VLLM_TEST_BASE_URL=url)

    assert problem.startswith("VLLM_TEST_BASE_URL: ")
    assert "hunter2" not in problem


@pytest.mark.parametrize("key", ["${MY_KEY}", "hunter2\n3", "hunter2\x7f", "hunter2é", "h\udcff"])
def test_a_key_that_cannot_be_sent_is_a_problem_without_the_key(key):
    (problem,) = problems(VLLM_API_KEY=key)

    assert problem.startswith("VLLM_API_KEY: ")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("variable", "value", "ending"),
    [
        ("VLLM_BASE_URL", "gpu-1\u200b:8000", r"; it is 'gpu-1\u200b:8000'"),
        ("VLLM_MODELS", "a,b\x07", r"; it is 'a,b\x07'"),
        ("VLLM_BASE_URL", "http://h?token=hunter2", ""),
        ("VLLM_API_KEY", "hunter2 x", ""),
    ],
)
def test_a_bad_value_is_shown_where_it_is_no_secret(variable, value, ending):
    (problem,) = problems(**{variable: value})

    assert problem.endswith(ending)
    assert "hunter2" not in problem


def test_an_unexpanded_model_list_is_a_problem():
    (problem,) = problems(VLLM_MODELS="a,${MODEL}")

    assert problem.startswith("VLLM_MODELS: it holds a ${…}")


def test_two_spellings_of_one_suffix_are_a_problem_that_names_them():
    (problem,) = problems(VLLM_Test_BASE_URL=A, VLLM_TEST_API_KEY="k", VLLM_BASE_URL=B)

    assert problem.startswith("VLLM_TEST_API_KEY, VLLM_Test_BASE_URL: ")
    assert "vllm-test" in problem


def test_every_problem_is_told():
    told = problems(VLLM_BASE_URL="foo", VLLM_A__B_API_KEY="k", VLLM_X_MODELS="${Y}")

    assert [problem.split(":")[0] for problem in told] == [
        "VLLM_A__B_API_KEY",
        "VLLM_BASE_URL",
        "VLLM_X_MODELS",
    ]


def test_the_key_is_in_no_repr():
    groups, _ = environment.read({"VLLM_API_KEY": "hunter2"})

    assert "hunter2" not in repr(groups)
    assert "hunter2" not in repr(overlay.overlaid(groups, []))


names = st.builds(
    "VLLM_{}{}".format,
    st.text(st.sampled_from("AaZ019_-É٣\n .$"), max_size=12) | st.text(max_size=8),
    st.sampled_from(["BASE_URL", "API_KEY", "MODELS", "_BASE_URL", "_API_KEY", "_MODELS", "_X"]),
)
values = st.sampled_from([A, "foo", "", "a,b", "${X}", "é"]) | st.text(max_size=20)


@given(st.dictionaries(names | st.text(max_size=20), values, max_size=6))
@example({"VLLM_A_BASE_URL": A, "VLLM_a_BASE_URL": A})
def test_any_environment_gives_good_names_or_problems(environ):
    groups, told = environment.read(environ)

    for group in groups:
        assert re.fullmatch(SLUG.removesuffix(r"\Z"), group.name)
        assert len(group.name) <= 63
        assert not group.name.endswith("\n")
    assert all(any(problem.startswith(name) for name in environ) for problem in told)
    assert len({group.name for group in groups}) == len(groups)
