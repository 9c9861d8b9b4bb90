"""The one door to the network. Only this package imports an HTTP client."""

from gateway.upstream.door import Answer, Door, Outgoing
from gateway.upstream.fetching import fetch
from gateway.upstream.socket import Socket
from gateway.upstream.transport import NotUpgraded
from gateway.upstream.waits import Waits

__all__ = ["Answer", "Door", "NotUpgraded", "Outgoing", "Socket", "Waits", "fetch"]
