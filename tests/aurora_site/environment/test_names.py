"""Names that are nearly ours are told; those of Kubernetes and of vLLM are not."""

from __future__ import annotations

import logging

import pytest

from aurora_site.environment import load
from aurora_site.environment.kubernetes import injected
from aurora_site.environment.names import Settings
from aurora_site.options import NAMES
from providers.seeding import yaml_file

OF_KUBERNETES = {
    "AURORA_SERVICE_HOST": "10.96.0.12",
    "AURORA_SERVICE_PORT": "8080",
    "AURORA_SERVICE_PORT_HTTP": "8080",
    "AURORA_PORT": "tcp://10.96.0.12:8080",
    "AURORA_PORT_8080_TCP": "tcp://10.96.0.12:8080",
    "AURORA_PORT_8080_TCP_PROTO": "tcp",
    "AURORA_PORT_8080_TCP_PORT": "8080",
    "AURORA_PORT_8080_TCP_ADDR": "10.96.0.12",
    "AURORA_PORT_53_UDP": "udp://[fd00::12]:53",
    "AURORA_POSTGRES_SERVICE_HOST": "10.96.0.13",
    "AURORA_POSTGRES_PORT": "tcp://10.96.0.13:5432",
    "VLLM_SERVICE_HOST": "fd00::14",
    "VLLM_PORT": "tcp://10.96.0.14:8000",
    "VLLM_SERVICE_PORT_MODELS": "8000",
    "VLLM_LLAMA_SERVICE_PORT_API_KEY": "8001",
    "VLLM_PORT_8000_TCP": "tcp://10.96.0.14:8000",
}
OF_VLLM = [
    "VLLM_API_KEY",
    "VLLM_PORT",
    "VLLM_HOST_IP",
    "VLLM_LOGGING_LEVEL",
    "VLLM_BUILD_URL",
    "VLLM_RPC_BASE_PATH",
    "VLLM_SERVER_DEV_MODE",
    "VLLM_DEEPEP_V2_ALLOW_HYBRID_MODE",
    "VLLM_ALLOW_LONG_MAX_MODEL_LEN",
    "VLLM_USE_MODELSCOPE",
    "VLLM_ASSETS_CACHE_MODEL_CLEAN",
    "VLLM_USE_V2_MODEL_RUNNER",
    "VLLM_MODEL_REDIRECT_PATH",
    "VLLM_SKIP_MODEL_NAME_VALIDATION",
    "VLLM_ENABLE_COHERE_API",
    "VLLM_ENABLE_RESPONSES_API_STORE",
    "VLLM_MEDIA_URL_ALLOW_REDIRECTS",
    "VLLM_LOG_MODEL_INSPECTION",
    "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS",
    "VLLM_MAX_TOKENS_PER_EXPERT_FP4_MOE",
]
"""Of all in its `envs.py`, those that come nearest to ours."""


def test_variables_that_kubernetes_injects_are_recognised():
    assert injected(OF_KUBERNETES) == sorted(OF_KUBERNETES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AURORA_PORT", "8080"),
        ("VLLM_PORT", "8000"),
        ("AURORA_HOST", "10.96.0.12"),
        ("VLLM_SERVICE_PORT_MODELS", "llama"),
        ("VLLM_BASE_URL", "http://10.96.0.14:8000"),
        ("VLLM_SERVICE_HOST_BASE_URL", "http://h"),
        ("POSTGRES_PORT", "tcp://10.96.0.13:5432"),
    ],
)
def test_variables_that_somebody_has_set_are_not_taken_for_kubernetes(name, value):
    assert injected({name: value}) == []


def test_variables_of_kubernetes_set_nothing_and_are_told_in_one_line(tmp_path):
    (tmp_path / ".env").write_text("AURORA_PORT=9000\n")
    settings = {"AURORA_PORT", "VLLM_SERVICE_PORT_MODELS", "VLLM_LLAMA_SERVICE_PORT_API_KEY"}

    read = load(OF_KUBERNETES, tmp_path, NAMES)

    assert read.values["AURORA_PORT"] == "9000"
    assert OF_KUBERNETES.keys() - read.values.keys() == settings - {"AURORA_PORT"}
    [notice] = read.notices
    assert notice.level == logging.INFO
    assert notice.text.startswith(
        "AURORA_PORT, AURORA_PORT_53_UDP, AURORA_PORT_8080_TCP and 13 more: set by Kubernetes"
    )


def test_the_yaml_file_may_name_a_service_by_what_kubernetes_injects(tmp_path):
    values = load(OF_KUBERNETES, tmp_path, NAMES).values
    text = "providers: {a: {type: vllm, base_url: 'http://[${VLLM_SERVICE_HOST}]:8000'}}"

    [provider], problems = yaml_file.read(text, values, file="config.yaml")

    assert (provider.base_url, problems) == ("http://[fd00::14]:8000/v1", [])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AURORA_MASTERKEY", "AURORA_MASTER_KEY"),
        ("AURORA_MASTER_KEYS", "AURORA_MASTER_KEY"),
        ("AURORA_SECRET_KEY", "AURORA_SECRET_KEYS"),
        ("AURORA_POTR", "AURORA_PORT"),
        ("AURORA_DATABASE_URL", "DATABASE_URL"),
        ("AURORA_LOGLEVEL", "AURORA_LOG_LEVEL"),
        ("AURORA_CONFIG_YAML", "AURORA_CONFIG"),
        ("aurora_port", "AURORA_PORT"),
        ("Aurora_Master_Key", "AURORA_MASTER_KEY"),
        ("VLLM_BASEURL", "VLLM_BASE_URL"),
        ("VLLM_BASE_URI", "VLLM_BASE_URL"),
        ("VLLM_URL", "VLLM_BASE_URL"),
        ("VLLM_APIKEY", "VLLM_API_KEY"),
        ("VLLM_API_KEYS", "VLLM_API_KEY"),
        ("VLLM_MODEL", "VLLM_MODELS"),
        ("VLLM_EU_BASE_ULR", "VLLM_EU_BASE_URL"),
        ("VLLM_EU_WEST_1_APIKEY", "VLLM_EU_WEST_1_API_KEY"),
        ("VLLM_EU_URL", "VLLM_EU_BASE_URL"),
        ("vllm_base_url", "VLLM_BASE_URL"),
        ("AURORA_MASTERKEY_FILE", "AURORA_MASTER_KEY_FILE"),
        ("VLLM_APIKEY_FILE", "VLLM_API_KEY_FILE"),
    ],
)
def test_a_name_that_is_nearly_one_of_ours_is_told_with_that(name, meant):
    assert list(Settings(NAMES).unknown([name])) == [
        f"{name}: has no effect; did you mean {meant}?"
    ]


def test_a_name_that_is_nothing_like_ours_is_told_too():
    [sentence] = Settings(NAMES).unknown(["AURORA_XYZZY"])
    assert sentence == "AURORA_XYZZY: has no effect, since there is no such setting"


@pytest.mark.parametrize(
    "name",
    [
        *NAMES,
        *OF_VLLM,
        "VLLM_BASE_URL",
        "VLLM_Test_API_KEY",
        "VLLM_EU_API_KEY_FILE",
        "AURORA_MASTER_KEY_FILE",
        "DATABASE_URL_FILE",
        "VLLM_MODELS_MODELS",
        "PATH",
        "DATABASE_URI",
        "AURORA_TEST_BROWSER",
        "VLLM_",
        "AURORA",
    ],
)
def test_of_all_others_nothing_is_said(name):
    assert list(Settings(NAMES).unknown([name])) == []
