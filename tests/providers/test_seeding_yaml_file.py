"""The YAML file: every field, every way to get it wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.validators import BaseValidator
from hypothesis import example, given
from hypothesis import strategies as st

from providers.models import SLUG, ModelsMode, Passthrough, Provider, Translation
from providers.seeding import environment, fields, yaml_file
from providers.seeding.wanted import Wanted

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


def read(text: str, **environ: str) -> tuple[list[Wanted], list[str]]:
    return yaml_file.read(text, environ, file="c.yaml")


def provider(members: str, **environ: str) -> Wanted:
    (found,), problems = read(f"providers: {{a: {{type: vllm, {members}}}}}", **environ)
    assert problems == []
    return found


def problem(members: str, **environ: str) -> str:
    found, (told,) = read(f"providers: {{a: {{type: vllm, {members}}}}}", **environ)
    assert found == []
    return told


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "providers:\n", "providers: {}"])
def test_an_empty_file_is_fine(text):
    assert read(text) == ([], [])


def test_the_documented_example_reads_well():
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)

    found, problems = read(text, GPU_2_KEY="k")

    assert problems == []
    assert found == [
        Wanted("vllm", "yaml", base_url="http://gpu-1:8000/v1"),
        Wanted(
            "vllm-eu",
            "yaml",
            base_url="https://gpu-2.example.com/eu/v1",
            api_key="k",
            models=("meta-llama/Llama-3.1-8B-Instruct", "my-adapter"),
            models_mode="allowlist",
        ),
    ]
    assert all(f"{member}:" in text for member in yaml_file.READERS)


def test_the_reference_has_every_key():
    table = DOCS.read_text(encoding="utf-8")

    assert [member for member in yaml_file.READERS if f"| `{member}` |" not in table] == []


def test_what_is_not_said_has_the_models_own_default():
    found, row = provider(""), Provider()

    for member in ("type", "enabled", "passthrough", "translation", "api_key"):
        assert getattr(found, member) == getattr(row, member)
    for member in ("weight", "max_concurrency", "draining", "repeats_after_timeout"):
        assert getattr(found, member) == getattr(row, member)
    for member in ("connect_seconds", "first_byte_seconds", "idle_seconds"):
        assert getattr(found, member) == getattr(row, member)
    assert (found.mode, list(found.models)) == (row.models_mode, row.model_ids)


def test_the_file_knows_the_same_rules_as_the_model():
    assert rf"^{yaml_file.NAME.pattern}\Z" == SLUG
    assert Provider._meta.get_field("name").max_length == yaml_file.LONGEST_NAME
    assert yaml_file.LONGEST_NAME == environment.LONGEST_NAME
    closed = {
        "models_mode": ModelsMode,
        "passthrough": Passthrough,
        "translation": Translation,
    }
    for member, choices in closed.items():
        assert [yaml_file.READERS[member](value) for value in choices.values] == choices.values
    assert limits("idle_seconds") == {fields.LEAST_SECONDS, fields.MOST_SECONDS}
    assert limits("weight") == {fields.LEAST_WEIGHT, fields.MOST_WEIGHT}
    assert {fields.LEAST_CONCURRENCY, fields.MOST_CONCURRENCY} <= limits("max_concurrency")


def limits(name: str) -> set[object]:
    """The bounds that the model's field has."""
    field: Any = Provider._meta.get_field(name)
    return {bound.limit_value for bound in field.validators if isinstance(bound, BaseValidator)}


@pytest.mark.parametrize(
    ("members", "member", "value"),
    [
        ("base_url: 'http://h:1/'", "base_url", "http://h:1/v1"),
        ("base_url: null", "base_url", "http://localhost:8000/v1"),
        ("base_url: ''", "base_url", "http://localhost:8000/v1"),
        ("api_key: a$b$$c", "api_key", "a$b$$c"),
        ("api_key: 'a${b'", "api_key", "a${b"),
        ("models: [b, a, b, '']", "models", ("b", "a")),
        ("models: [b], models_mode: allowlist", "mode", "allowlist"),
        ("models: [b]", "mode", "fallback"),
        ("enabled: false", "enabled", False),
        ("enabled: 'No'", "enabled", False),
        ("passthrough: off", "passthrough", "off"),
        ("passthrough: 'off'", "passthrough", "off"),
        ("passthrough: control", "passthrough", "control"),
        ("translation: always", "translation", "always"),
        ("weight: 2", "weight", 2),
        ("weight: '0.01'", "weight", 0.01),
        ("max_concurrency: 64", "max_concurrency", 64),
        ("max_concurrency: '64'", "max_concurrency", 64),
        ("max_concurrency: null", "max_concurrency", None),
        ("draining: true", "draining", True),
        ("repeats_after_timeout: 'yes'", "repeats_after_timeout", True),
        ("connect_seconds: 1", "connect_seconds", 1),
        ("first_byte_seconds: 0.5", "first_byte_seconds", 0.5),
        ("idle_seconds: '86400'", "idle_seconds", 86400),
    ],
)
def test_a_value_is_read(members, member, value):
    assert getattr(provider(members), member) == value


@pytest.mark.parametrize(
    ("members", "member", "value"),
    [
        ("base_url: 'http://${H}:${P:-8000}/v1'", "base_url", "http://host:8000/v1"),
        ("base_url: '${EMPTY:-http://d:1}'", "base_url", "http://d:1/v1"),
        ("api_key: '${KEY}'", "api_key", "k:[}#\"'$x"),
        ("api_key: '${NONE:-}'", "api_key", ""),
        ("api_key: '${NONE:-a:-b}'", "api_key", "a:-b"),
        ("models: ['${H}', '${NONE:-}', x]", "models", ("host", "x")),
        ("idle_seconds: '${TIMEOUT:-5}'", "idle_seconds", 5),
        ("idle_seconds: '${NUMBER}'", "idle_seconds", 2.5),
        ("enabled: '${TRUTH}'", "enabled", False),
        ("passthrough: '${NONE:-off}'", "passthrough", "off"),
        ("models_mode: '${NONE:-discover}'", "mode", "discover"),
    ],
)
def test_variables_are_expanded_in_values(members, member, value):
    environ = {"H": "host", "EMPTY": "", "KEY": "k:[}#\"'$x", "NUMBER": "2.5", "TRUTH": "false"}

    assert getattr(provider(members, **environ), member) == value


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ("base_url: '${H}'", "providers.a.base_url: the variable H is not set"),
        ("base_url: 'http://${H}:${P}'", "H is not set; set it, or write ${H:-default}; the var"),
        ("api_key: '${EMPTY}'", "providers.a.api_key: the variable EMPTY is not set"),
        ("api_key: '${LITERAL}'", "the variable LITERAL itself holds"),
        ("api_key: '${not-a-name}'", "providers.a.api_key: ${…} must hold one variable"),
        ("api_key: '${H:-${P}}'", "providers.a.api_key: ${…} must hold one variable"),
        ("models: [x, '${H}']", "providers.a.models: the variable H is not set"),
        ("idle_seconds: '${WORD}'", "providers.a.idle_seconds: a number of seconds"),
        ("enabled: '${WORD}'", "providers.a.enabled: true or false"),
        ("base_url: '${WORD}'", "providers.a.base_url: a URL such as"),
    ],
)
def test_a_variable_that_cannot_be_used_is_a_problem(members, told):
    environ = {"EMPTY": "", "LITERAL": "${hunter2}", "WORD": "hunter2"}

    found = problem(members, **environ)

    assert told in found
    assert found.startswith("c.yaml: providers.a.")
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ("base_uri: x", "providers.a.base_uri: unknown; did you mean base_url?"),
        ("zzz: x", "providers.a.zzz: unknown; known here: type, base_url"),
        ("1: x", "providers.a.1: unknown"),
        ("base_url: 5", "providers.a.base_url: text is needed, not a number"),
        ("base_url: [x]", "providers.a.base_url: text is needed, not a list"),
        ("base_url: 'http://u:hunter2@h'", "providers.a.base_url: a URL must not hold"),
        ("api_key: 12345678", "providers.a.api_key: text is needed, not a number; put it in"),
        ("api_key: true", "providers.a.api_key: text is needed, not a boolean"),
        ('api_key: "hunter2\\n3"', "providers.a.api_key: it holds control"),
        ('api_key: "hunter2é"', "providers.a.api_key: a key has visible ASCII"),
        ("models: m", "providers.a.models: a list such as"),
        ("models: {m: 1}", "providers.a.models: a list such as"),
        ("models: [1.5]", "providers.a.models: text is needed, not a number"),
        ("models: [null]", "providers.a.models: text is needed"),
        ('models: ["m\\0"]', "providers.a.models: it holds control"),
        ("models_mode: auto", "providers.a.models_mode: discover or fallback or allowlist"),
        ("enabled: 1", "providers.a.enabled: true or false"),
        ("enabled: maybe", "providers.a.enabled: true or false"),
        ("translation: never", "providers.a.translation: auto or always is needed"),
        ("translation: true", "providers.a.translation: auto or always is needed"),
        ("passthrough: on", "providers.a.passthrough: off or inference or control"),
        ("passthrough: [off]", "providers.a.passthrough: off or inference or control"),
        ("weight: 0", "providers.a.weight: a number from 0.01 to 1000 is needed"),
        ("weight: heavy", "providers.a.weight: a number from"),
        ("weight: .nan", "providers.a.weight: a number from"),
        ("weight: true", "providers.a.weight: a number from"),
        ("max_concurrency: 0", "providers.a.max_concurrency: a whole number from 1 to 1000000"),
        ("max_concurrency: 1.5", "providers.a.max_concurrency: a whole number is needed"),
        ("max_concurrency: .inf", "providers.a.max_concurrency: a whole number from"),
        ("max_concurrency: [8]", "providers.a.max_concurrency: a whole number from"),
        ("draining: 1", "providers.a.draining: true or false"),
        ("repeats_after_timeout: maybe", "providers.a.repeats_after_timeout: true or false"),
        ("idle_seconds: 0", "providers.a.idle_seconds: a number of seconds from 0.1 to 86400"),
        ("idle_seconds: -1", "providers.a.idle_seconds: "),
        ("idle_seconds: 86401", "providers.a.idle_seconds: "),
        ("idle_seconds: .nan", "providers.a.idle_seconds: "),
        ("idle_seconds: .inf", "providers.a.idle_seconds: "),
        ("idle_seconds: true", "providers.a.idle_seconds: "),
        ("idle_seconds: 5s", "providers.a.idle_seconds: "),
        ("idle_seconds: [5]", "providers.a.idle_seconds: "),
        ("idle_seconds: 2026-01-01", "providers.a.idle_seconds: "),
        ("api_key: hunter2, api_key: k", "providers.a.api_key: given twice, again in line 1"),
    ],
)
def test_a_bad_value_is_a_problem_with_its_path(members, told):
    found = problem(members) if "twice" not in told else read_twice(members)

    assert found.startswith(f"c.yaml: {told}")
    assert "hunter2" not in found


def read_twice(members: str) -> str:
    _, (told,) = read(f"providers: {{a: {{type: vllm, {members}}}}}")
    return told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("providers: {a: {}}", "providers.a.type: required: write `type: vllm`"),
        ("providers: {a: }", "providers.a.type: required"),
        ("providers: {a: {type: ''}}", "providers.a.type: required"),
        ("providers: {a: {type: openai}}", "providers.a.type: vllm is needed"),
        ("providers: [a]", "providers: a mapping such as `NAME: {type: vllm, …}` is needed, not a"),
        ("[providers]", "the file: a mapping such as"),
        ("hunter2", "the file: a mapping such as `providers: {…}` is needed, not text"),
        ("provider: {}", "provider: unknown; did you mean providers?"),
        ("server: {port: 1}", "server: unknown; known here: providers"),
        ("providers: {A: {type: vllm}}", "providers.A: a name is text of at most 63"),
        ("providers: {a/b: {type: vllm}}", "providers.a/b: a name"),
        ("providers: {-a: {type: vllm}}", "providers.-a: a name"),
        ("providers: {1: {type: vllm}}", "providers.1: a name is text"),
        ("providers: {yes: {type: vllm}}", "providers.True: a name is text"),
        ("providers: {'${A}': {type: vllm}}", "providers.${A}: a name"),
        ('providers: {"a\\n": {type: vllm}}', "providers.a : a name"),
        (f"providers: {{{'a' * 64}: {{type: vllm}}}}", f"providers.{'a' * 64}: a name"),
        ("providers: {}\nproviders: {}", "providers: given twice, again in line 2; keep one"),
        ("providers: {a: {type: vllm}", "line 1: not YAML: "),
        ("providers:\n\t- a", "line 2: not YAML: "),
        ("a: b: hunter2", "line 1: not YAML: "),
        ("api_key: *hunter2", "line 1: not YAML: found undefined alias '…'"),
        ("api_key: !hunter2 x", "line 1: not YAML: "),
        ("api_key: !hunter2!x y", "line 1: not YAML: "),
        ("api_key: %hunter2", "line 1: not YAML: "),
        ('api_key: "\\hunter2"', "line 1: not YAML: "),
        ("? {a: hunter2}\n: b", "line 1: not YAML: "),
        ("a: 2026-99-99", "not YAML, near line"),
        ("a: !!int hunter2", "not YAML, near line"),
        ("a: !!bool hunter2", "not YAML, near line"),
        ("a: !!timestamp hunter2", "not YAML, near line"),
        ("--- a\n--- b", "line 2: not YAML: "),
        ("a: \x00", "not YAML, near line 1"),
        ("[" * 10_000, "nested too deeply"),
    ],
)
def test_a_bad_file_is_a_problem_with_its_place(text, told):
    found, (problem,) = read(text)

    assert found == []
    assert problem.startswith(f"c.yaml: {told}")
    assert "hunter2" not in problem


def test_a_name_given_twice_is_a_problem():
    _, problems = read("providers:\n  a: {type: vllm}\n  a: {type: vllm}\n")

    assert problems == ["c.yaml: providers.a: given twice, again in line 3; keep one"]


def test_a_provider_that_is_text_is_not_repeated():
    _, problems = read("providers: {a: hunter2}")

    assert problems[0].startswith("c.yaml: providers.a: a mapping such as `{type: vllm, …}`")
    assert "hunter2" not in "".join(problems)


def test_every_problem_is_told_and_good_providers_are_read():
    found, problems = read(
        "x: 1\n"
        "providers:\n"
        "  a: {type: vllm, idle_seconds: 0, nabled: true}\n"
        "  b: {type: vllm, base_url: '${U}'}\n"
        "  c: {type: vllm}\n"
    )

    assert [one.name for one in found] == ["c"]
    assert [problem.split(": ")[1] for problem in problems] == [
        "x",
        "providers.a.nabled",
        "providers.a.idle_seconds",
        "providers.b.base_url",
    ]


def test_anchors_and_merge_keys_work():
    text = "providers:\n  a: &a {type: vllm, idle_seconds: 9}\n  b: {<<: *a, idle_seconds: 8}\n"

    found, problems = read(text)

    assert problems == []
    assert [(one.name, one.idle_seconds) for one in found] == [("a", 9), ("b", 8)]


def test_an_alias_to_itself_is_a_problem_not_a_hang():
    _, problems = read("providers: &p {a: *p}")

    assert [problem.split(": ")[1] for problem in problems] == ["providers.a.a", "providers.a.type"]


def test_aliases_of_aliases_are_looked_at_once():
    doubled = "".join(f"x{n}: &x{n} [*x{n - 1}, *x{n - 1}]\n" for n in range(1, 64))

    _, problems = read(f"x0: &x0 [x]\n{doubled}providers: {{a: {{type: vllm, models: *x63}}}}\n")

    assert problems[-1].startswith("c.yaml: providers.a.models: text is needed, not a list")


yaml_like = st.text(st.sampled_from("ab:{}[]-&*!|>'\"#%@`,? \n\t0123.~<=$"), max_size=40)


@given(yaml_like | st.text(max_size=30) | yaml_like.map("providers: {{a: {{type: {}}}}}".format))
@example("? - a\n: b")
@example("!!set {a: b}")
@example("a: !!binary x")
def test_any_text_is_read_or_told(text):
    found, problems = read(text)

    assert all(problem.startswith("c.yaml: ") for problem in problems)
    assert all(isinstance(one, Wanted) for one in found)
