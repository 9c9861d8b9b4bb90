"""No server is called where a machine's credentials are given out."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from gateway.upstream import fetch
from providers import metadata
from providers.fetch import NotReached
from providers.models import check_base_url
from tests.patience import NEVER_SECONDS
from tests.scripted_vllm import ScriptedVllm

REFUSED = (
    *("169.254.169.254", "169.254.0.1", "2852039166", "0xA9FEA9FE", "0251.0376.0251.0376"),
    *("169.254.43518", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]"),
    *("[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]", "100.100.100.200", "metadata.google.internal"),
    *("METADATA.google.internal.", "[::a9fe:a9fe]"),
)
ALLOWED = (
    "127.0.0.1",
    "localhost",
    "10.0.0.1",
    "192.168.1.1",
    "[::1]",
    "[fd00::1]",
    "gpu-1",
    "100.64.0.1",
)


@pytest.mark.parametrize("host", REFUSED)
def test_no_base_url_is_saved_that_leads_there(host: str) -> None:
    with pytest.raises(ValidationError, match="AURORA_METADATA_ADDRESSES"):
        check_base_url(f"http://{host}:80/v1")


@pytest.mark.parametrize("host", ALLOWED)
def test_other_addresses_are_taken(host: str) -> None:
    check_base_url(f"http://{host}:8000")


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1]"])
async def test_no_connection_is_begun(host: str) -> None:
    """By the address after resolution, whatever was saved."""
    with pytest.raises(NotReached, match="calls no metadata or link-local address"):
        await fetch(f"http://{host}/v1/models", None, seconds=NEVER_SECONDS, most_bytes=1)


@pytest.mark.anyio
async def test_what_a_name_resolves_to_decides(
    monkeypatch: pytest.MonkeyPatch, vllm: ScriptedVllm
) -> None:
    """As where a name that was harmless when it was saved resolves to another address by now."""
    url = vllm.url.replace("127.0.0.1", "localhost")
    monkeypatch.setattr(metadata, "NETWORKS", (ip_network("127.0.0.0/8"), ip_network("::1/128")))
    with pytest.raises(NotReached, match="calls no metadata or link-local address"):
        await fetch(f"{url}/v1/models", None, seconds=NEVER_SECONDS, most_bytes=1)

    assert vllm.received == []


def test_a_setting_allows_it(monkeypatch: Any) -> None:
    monkeypatch.setitem(settings.OPTIONS, "AURORA_METADATA_ADDRESSES", "allowed")

    assert not metadata.is_refused("169.254.169.254")
    check_base_url("http://169.254.169.254")
