"""How the servers are, asked of them by one process of the installation and told to all.

prober    each second: who probes, what was found, which servers are due
lease     which process probes
probe     one look at one server: GET /health, GET /metrics
metrics   what /metrics says of the load; pure
outcomes  a look -> the server's state; pure
rows      what was found and reported <-> the database
"""

from providers.probing.prober import Prober

__all__ = ["Prober"]
