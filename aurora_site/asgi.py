"""The wiring: the data path beside Django's own application, in one ASGI application.

Run by `manage.py serve`, or by any ASGI server as `aurora_site.asgi:application`.
"""

import os
from dataclasses import replace

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aurora_site.settings")

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import re_path

django_application = get_asgi_application()  # sets Django up: what follows needs its models

from aurora_site import memory_limit, pages  # noqa: E402
from aurora_site.lifespan import Lifespan  # noqa: E402
from aurora_site.visitors import Visitors  # noqa: E402
from gateway.application import Gateway  # noqa: E402
from gateway.bounded import Bounded  # noqa: E402
from gateway.client import Limits  # noqa: E402
from gateway.consumers import Realtime  # noqa: E402
from gateway.cors import Cors  # noqa: E402
from gateway.fleet import Fleet  # noqa: E402
from gateway.header_names import Rules  # noqa: E402
from gateway.memory import Memory  # noqa: E402
from gateway.routing import Settings  # noqa: E402
from gateway.state.spool import Spool  # noqa: E402
from gateway.state.store import Store  # noqa: E402
from gateway.upstream import Door  # noqa: E402
from providers import discovery, installation  # noqa: E402
from providers.background import Background  # noqa: E402
from providers.catalog import Catalog  # noqa: E402
from providers.key_use import KeyUse  # noqa: E402
from providers.observed import Lookout  # noqa: E402
from providers.probing import Prober  # noqa: E402
from providers.rechecks import Rechecks  # noqa: E402

options = settings.OPTIONS
catalog = Catalog()
lookout = Lookout()
key_use = KeyUse()
rechecks = Rechecks()
memory = Memory(options["AURORA_MEMORY_BYTES"] or memory_limit.share_bytes())
limits = Limits(
    options["AURORA_MAX_BODY_BYTES"],
    options["AURORA_UPLOAD_STALL_SECONDS"],
    options["AURORA_UPLOAD_BYTES_PER_SECOND"],
    head_seconds=options["AURORA_STREAM_HEAD_SECONDS"],
    memory=memory,
)
spool = Spool(settings.DATA_DIR / "spool", options["AURORA_SPOOL_BYTES"])
store = Store(
    retention_days=options["AURORA_RESPONSES_RETENTION_DAYS"],
    most_bytes_per_owner=options["AURORA_STORED_BYTES_PER_KEY"],
    spool=spool if spool.most_bytes else None,
)
door = Door(connections=options["AURORA_UPSTREAM_CONNECTIONS"])
header_rules = Rules.of(options["AURORA_PASSED_HEADERS"], options["AURORA_DROPPED_HEADERS"])
fleet = Fleet(catalog, lookout, repeated_share=options["AURORA_RETRY_PERCENT"] / 100)
gateway = Gateway(
    catalog,
    door,
    limits,
    key_use.note,
    store,
    fleet=fleet,
    background_responses=options["AURORA_BACKGROUND_RESPONSES"],
    pools=Settings(
        options["AURORA_POOL_POLICY"],
        options["AURORA_QUEUE_CALLS"],
        options["AURORA_QUEUE_SECONDS"],
    ),
    ask_anew=rechecks.want,
    header_rules=header_rules,
    installation=installation.ids(),
)
prober = Prober(
    catalog,
    lookout,
    fleet.reports,
    fleet.usage,
    discovery.fetch(),
    probe_seconds=options["AURORA_PROBE_SECONDS"],
    ask_anew=rechecks.want,
)
background = Background(
    catalog,
    key_use,
    prober,
    discovery_seconds=options["AURORA_DISCOVERY_SECONDS"],
    rechecks=rechecks,
)
# Django spools bodies, and without a limit: it gets only what is let through.
most = min(options["AURORA_MAX_BODY_BYTES"], 2 * 2**20)
bounded_django = Bounded(
    django_application,
    # Not of the calls' memory: whoever takes access away must get through when that is used up.
    replace(limits, body_bytes=most, memory=None),
    identify=Visitors(catalog).identify,
    refuse=pages.refuse,
)
# Channels routes to ASGI applications by Django's patterns, whose types speak of views alone.
routes = [
    re_path(r"^(?:$|admin(?:/|$)|api(?:/|$)|static/)", bounded_django),  # type: ignore[arg-type]
    re_path(r"", Cors(gateway, options["AURORA_CORS_ORIGINS"], limits)),  # type: ignore[arg-type]
]
realtime = Realtime.as_asgi(
    catalog=catalog,
    door=door,
    note_key_use=key_use.note,
    fleet=fleet,
    header_rules=header_rules,
    installation=installation.ids(),
    memory=memory,
)
lifespan = Lifespan(gateway.start, gateway.stop_runs, store.stop)
application = ProtocolTypeRouter(
    {"http": URLRouter(routes), "websocket": realtime, "lifespan": lifespan}
)
background.start()  # at import: Daphne has no lifespan events
