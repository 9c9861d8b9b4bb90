"""Responses on this disk until the database has them: they outlive this process.

`records` is the format of a file, `segments` are the files, each locked by the process that writes
it, `spool` is the thread that writes and syncs them in groups, `folder` looks into those of others.
"""

from gateway.state.spool.records import Mark
from gateway.state.spool.segments import Place
from gateway.state.spool.spool import Found, Spool

__all__ = ["Found", "Mark", "Place", "Spool"]
