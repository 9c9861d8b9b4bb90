"""Addresses that answer whoever asks from this machine with its credentials: a cloud's metadata
service, and what else is link-local. No server is called there unless a setting allows it."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from django.conf import settings

NETWORKS = tuple(
    ip_network(each)
    for each in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32")
)
NAMES = frozenset({"metadata.google.internal", "metadata.goog", "instance-data.ec2.internal"})
REFUSAL = (
    "this is the address of a cloud's metadata service, or link-local: no server is called there"
    " unless AURORA_METADATA_ADDRESSES is allowed"
)
_NAT64 = ip_network("64:ff9b::/96")


class RefusedAddress(OSError):
    """No connection was begun."""


def is_refused(host: str) -> bool:
    """Whether `host`, a name or an address in any form that resolvers read, may not be called."""
    return settings.OPTIONS["AURORA_METADATA_ADDRESSES"] == "refused" and _is_metadata(host)


def _is_metadata(host: str) -> bool:
    name = host.strip("[]").rstrip(".").lower()
    address = _address(name)
    if address is None:
        return name in NAMES
    return any(each in network for each in _meanings(address) for network in NETWORKS)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    """Also of the forms in which C reads IPv4: one number, octal, hexadecimal, shortened."""
    try:
        return ip_address(name.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(name))
    except (OSError, ValueError):
        return None


def _meanings(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, and the IPv4 one that it stands for."""
    if isinstance(address, IPv4Address):
        return [address]
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    is_compatible = int(address) >> 32 == 0
    stands_for = [address.ipv4_mapped, address.sixtofour]
    if address in _NAT64 or is_compatible:
        stands_for.append(low)
    return [address, *(each for each in stands_for if each is not None)]
