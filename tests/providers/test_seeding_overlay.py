"""Environment over YAML: which provider is meant, and what wins."""

from __future__ import annotations

import pytest

from providers.seeding import environment, overlay
from providers.seeding.wanted import Wanted

URL = "http://from-env:8000/v1"


def listed(*names: str) -> list[Wanted]:
    return [Wanted(name, "yaml", place=f"config.yaml: providers.{name}") for name in names]


def overlaid(environ: dict[str, str], providers: list[Wanted]) -> tuple[list[Wanted], list[str]]:
    groups, problems = environment.read(environ)
    assert problems == []
    return overlay.overlaid(groups, providers)


@pytest.mark.parametrize(
    ("variable", "names", "touched", "result"),
    [
        ("VLLM_BASE_URL", [], "vllm", ["vllm"]),
        ("VLLM_BASE_URL", ["vllm"], "vllm", ["vllm"]),
        ("VLLM_BASE_URL", ["a", "vllm"], "vllm", ["a", "vllm"]),
        ("VLLM_BASE_URL", ["a"], "a", ["a"]),
        ("VLLM_A_BASE_URL", [], "vllm-a", ["vllm-a"]),
        ("VLLM_A_BASE_URL", ["vllm-a", "vllm-b"], "vllm-a", ["vllm-a", "vllm-b"]),
        ("VLLM_A_BASE_URL", ["a"], "vllm-a", ["a", "vllm-a"]),
        ("VLLM_A_BASE_URL", ["vllm"], "vllm-a", ["vllm", "vllm-a"]),
    ],
)
def test_a_variable_attaches_to(variable, names, touched, result):
    found, problems = overlaid({variable: URL}, listed(*names))

    assert problems == []
    assert [one.name for one in found] == result
    assert {one.name for one in found if one.base_url == URL} == {touched}
    assert {one.name for one in found if one.source == "env"} == {touched}


def test_several_providers_and_none_named_vllm_is_ambiguous():
    _, (problem,) = overlaid({"VLLM_BASE_URL": URL, "VLLM_API_KEY": "k"}, listed("b", "a"))

    assert problem.startswith("VLLM_API_KEY, VLLM_BASE_URL: ")
    assert "b or a" in problem


def test_one_provider_meant_with_and_without_suffix_is_ambiguous():
    environ = {"VLLM_BASE_URL": URL, "VLLM_A_BASE_URL": URL}

    _, (problem,) = overlaid(environ, listed("vllm-a"))

    assert problem.startswith("VLLM_A_BASE_URL: ")
    assert "so do VLLM_BASE_URL" in problem


def test_the_environment_wins_field_by_field():
    in_file = Wanted(
        "vllm", "yaml", base_url="http://f:1/v1", api_key="file", models=("f",), idle_seconds=7
    )

    (found,), _ = overlaid({"VLLM_API_KEY": "env", "VLLM_MODELS": "e1,e2"}, [in_file])

    assert found == Wanted(
        "vllm",
        "env",
        base_url="http://f:1/v1",
        api_key="env",
        models=("e1", "e2"),
        idle_seconds=7,
    )


def test_an_empty_variable_overrides_nothing():
    in_file = [Wanted("vllm", "yaml", api_key="file")]

    assert overlaid({"VLLM_API_KEY": ""}, in_file) == (in_file, [])


@pytest.mark.parametrize("mode", ["fallback", "allowlist"])
def test_a_mode_that_needs_a_list_may_get_it_from_the_environment(mode):
    in_file = [Wanted("vllm", "yaml", place="config.yaml: providers.vllm", models_mode=mode)]

    _, (problem,) = overlaid({}, in_file)
    assert problem.startswith("config.yaml: providers.vllm.models: ")

    (found,), problems = overlaid({"VLLM_MODELS": "m"}, in_file)
    assert problems == []
    assert (found.mode, found.models) == (mode, ("m",))


def test_the_mode_that_the_file_gives_stays():
    in_file = [Wanted("vllm", "yaml", models_mode="discover")]

    (found,), _ = overlaid({"VLLM_MODELS": "m"}, in_file)

    assert (found.mode, found.models) == ("discover", ("m",))
