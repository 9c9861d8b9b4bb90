"""The one door to the network. Only this package imports an HTTP client."""

from gateway.upstream.door import Answer, Door, Outgoing
from gateway.upstream.fetching import fetch

__all__ = ["Answer", "Door", "Outgoing", "fetch"]
