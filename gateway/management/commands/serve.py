"""`manage.py serve`: migrate, seed, serve. All that an installation needs to start."""

from __future__ import annotations

import gc
import logging
import os
import resource
import sys
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseFailure

from aurora_site import data_folder, database, listening, public, start_lock
from aurora_site.welcome import Welcome
from gateway.headers import request_id
from providers import catalog, first_login, seeding
from providers.seeding import SeedError, Seeds
from providers.snapshot import Snapshot
from providers.turns import brief

OPEN_FILES = 65_536
SWITCH_SECONDS = 0.0005
"""How long another thread, such as one that writes to the database, may hold up the calls. Python's
own 5 ms would show in every stream."""
STATE_SECONDS = 4.0
"""What the last responses get to be written, once no call is left; the rest stays in the spool."""
log = logging.getLogger("aurora.serve")


class Command(BaseCommand):
    help = "Migrate the database, seed it from the environment and YAML, and serve with Daphne."
    requires_system_checks = ()  # they print to standard error; `handle` logs the notices instead

    def handle(self, *args: Any, **options: Any) -> None:
        for notice in settings.ENVIRONMENT.notices:
            log.log(notice.level, notice.text)
        _check_address(settings.OPTIONS["AURORA_HOST"], settings.OPTIONS["AURORA_PORT"])
        try:
            seeds = _seeds()
            for warning in seeds.warnings:
                log.warning(warning)
            if not settings.OPTIONS["DATABASE_URL"]:
                data_folder.prepare(settings.DATA_DIR).prepare_database()
            elif settings.DATABASE["ENGINE"] == "django.db.backends.sqlite3":
                data_folder.prepare_file_elsewhere(Path(settings.DATABASE["NAME"]))
            with start_lock.held():
                call_command("migrate", verbosity=0, interactive=False)
            for sentence in brief(seeding.write(seeds)):
                log.info(sentence)
            snapshot = catalog.load()
        except SeedError as error:
            sys.exit("\n".join(f"aurora: {line}" for line in str(error).splitlines()))
        except start_lock.NotHeld as error:
            sys.exit(f"aurora: {error}")
        except (DatabaseFailure, OSError) as error:
            variable = settings.DATABASE_VARIABLE
            sys.exit(f"aurora: {database.why(settings.DATABASE, error, variable=variable)}")
        _serve(snapshot)


def _check_address(host: str, port: int) -> None:
    """Before the database is touched: a mistyped address changes nothing."""
    try:
        listening.check(host, port)
    except OSError as error:
        sys.exit(_not_listening(host, port, error))


def _not_listening(host: str, port: int, error: OSError) -> str:
    reason = error.strerror or error
    return f"aurora: AURORA_HOST, AURORA_PORT: cannot listen on {host}:{port}: {reason}"


def _seeds() -> Seeds:
    """Read before the database is touched: a mistake in a variable or the file changes nothing."""
    return seeding.read(
        settings.ENVIRONMENT.values,
        config_path=settings.OPTIONS["AURORA_CONFIG"],
        base_dir=settings.BASE_DIR,
    )


def _serve(snapshot: Snapshot) -> None:
    # Here and not above: the one installs Twisted's reactor, the other starts background work.
    from twisted.internet.error import CannotListenError  # noqa: PLC0415

    from aurora_site import asgi  # noqa: PLC0415
    from aurora_site.server import Server  # noqa: PLC0415

    options = settings.OPTIONS
    asgi.catalog.begin_with(snapshot)
    server = Server(
        asgi.application,
        host=options["AURORA_HOST"],
        port=options["AURORA_PORT"],
        client_stall_seconds=options["AURORA_CLIENT_STALL_SECONDS"],
        most_connections=options["AURORA_CLIENT_CONNECTIONS"],
        request_id=request_id,
        hold=asgi.memory.moved,
        on_listening=partial(_announce, snapshot, first_login.is_open()),
        leave_seconds=options["AURORA_STOP_DELAY_SECONDS"],
        drain_seconds=options["AURORA_DRAIN_SECONDS"],
        on_leaving=asgi.gateway.leave,
        on_stopping=asgi.gateway.begin_to_stop,
        on_drained=partial(asgi.store.stop, STATE_SECONDS),
    )
    server.loop.call_soon(asgi.gateway.start)
    _raise_open_files_limit()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what is there now stays: a full collection would stop every stream for 50 ms
    try:
        server.run()
    except CannotListenError as error:
        sys.exit(_not_listening(error.interface, error.port, error.socketError))
    finally:
        if not asgi.background.stop():
            log.error("the database does not answer: ending without it")
            logging.shutdown()
            os._exit(0)  # the thread that waits for it would be waited for


def _raise_open_files_limit() -> None:
    """Each stream takes two sockets, and the usual soft limit is 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _announce(snapshot: Snapshot, is_first: bool, host: str, port: int) -> None:
    """A line for the log; on a terminal a block for the person who sits there, with the link that
    no log may hold."""
    url = public.base_url(settings.PUBLIC_URLS, port)
    fields = {"host": host, "port": port, "admin": f"{url}/admin/"}
    shown = f"[{host}]" if ":" in host else host
    log.info("listening on http://%s:%s", shown, port, extra={"fields": fields})
    if sys.stdout.isatty():
        has_keys = any(key.may_call for key in snapshot.keys.values())
        link = first_login.new_path() if is_first else ""
        told = Welcome(url, link, list(snapshot.providers), has_keys)
        sys.stdout.write(told.text() + "\n")
        sys.stdout.flush()
