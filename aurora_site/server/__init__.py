"""Daphne, taught what a gateway needs: applications that start at the head of a request, bounded
buffers both ways, prompt ends, JSON refusals and a shutdown that drains.

Importing this installs Twisted's asyncio reactor, so it comes before any other import of Twisted.
"""

from __future__ import annotations

from aurora_site.server.serving import Server

__all__ = ["Server"]
