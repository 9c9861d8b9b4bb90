"""Every setting that Aurora reads from the environment: its name, type, default and meaning.

`read` gives them back by name, from values that `environment` has cleaned. Nonsense raises
`BadOption`, whose text names the variable and says what would be right; `settings` prints it and
stops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aurora_site import public
from aurora_site.database_url import checked as checked_database_url
from aurora_site.environment.cleaning import parts
from aurora_site.environment.showing import Hidden, shown
from aurora_site.public import PublicUrl

_HOST_NAME = re.compile(r"(?![\d.]+\Z)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")

_HEADER_NAME = re.compile(r"[-!#$%&'+.^_`|~0-9A-Za-z]+")


class BadOption(ValueError):
    """A variable holds what cannot be used. The text says which, and what would be right."""


@dataclass(frozen=True, slots=True)
class Option:
    """One variable. `parse` turns its text into the value or raises ValueError with the reason.

    A secret's value is in no message.
    """

    name: str
    parse: Callable[[str], Any]
    default: str
    help: str
    is_secret: bool = False


def text(value: str) -> str:
    return password(value).strip()


def secret(value: str) -> str:
    return value


def password(value: str) -> str:
    """Blanks at its ends stood inside quotes: they are its own."""
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("it holds a line end or another control character")
    return value


def secrets(value: str) -> tuple[str, ...]:
    found = parts(value)
    if any(len(part) < 32 for part in found):
        raise ValueError("each secret has at least 32 characters; `openssl rand -hex 32` makes one")
    return found


def whole(least: int, most: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        number = value.strip()
        if not number.isascii() or not number.isdigit() or not least <= int(number) <= most:
            raise ValueError(f"a whole number from {least} to {most} is needed")
        return int(number)

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        choice = value.strip().lower()
        if choice not in choices:
            raise ValueError(f"one of {', '.join(choices)} is needed")
        return choice

    return parse


def log_level(value: str) -> str:
    """`warn` is what many programs call a warning."""
    level = value.strip().lower()
    return one_of("debug", "info", "warning", "error")("warning" if level == "warn" else level)


def public_urls(value: str) -> tuple[PublicUrl, ...]:
    return tuple(map(public.parse, parts(value)))


def origins(value: str) -> tuple[str, ...]:
    """Origins as browsers send them (RFC 6454, 6.2), or `*` alone."""
    if value.strip() == "*":
        return ("*",)
    return tuple(map(_origin, parts(value)))


def _origin(value: str) -> str:
    if value == "*":
        raise ValueError("`*` stands for every origin: give it alone")
    return str(public.parse(value))


def header_names(value: str) -> tuple[str, ...]:
    """Names of headers, in lower case."""
    return tuple(_header_name(part, part) for part in parts(value))


def header_patterns(value: str) -> tuple[str, ...]:
    """The same; a `*` at the end of one stands for any rest."""
    return tuple(_header_name(part, part.removesuffix("*")) for part in parts(value))


def _header_name(given: str, name: str) -> str:
    if _HEADER_NAME.fullmatch(name) is None:
        raise ValueError(f"{given[:40]!r} is no name of a header, such as X-User-Id")
    return given.lower()


def host(value: str) -> str:
    """An address, with or without the brackets of IPv6, or a name."""
    given = text(value)
    address = given[1:-1] if given.startswith("[") and given.endswith("]") else given
    if not _is_address(address) and not _HOST_NAME.fullmatch(address):
        raise ValueError(
            "an address or a host name is needed, such as 0.0.0.0, ::1 or localhost; the port is AURORA_PORT"
        )
    return address


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def path(value: str) -> str:
    """A path, with the home folder in place of `~`."""
    given = text(value)
    if "$" in given:
        raise ValueError("it holds a $ that nothing expanded; write the path itself")
    try:
        return str(Path(given).expanduser()) if given else ""
    except RuntimeError:
        raise ValueError("nobody knows the home folder that its ~ means") from None


def database_url(value: str) -> str:
    return checked_database_url(text(value)) if value else ""


OPTIONS = (
    Option("AURORA_HOST", host, "0.0.0.0", "Address that `serve` listens on."),  # noqa: S104 - a server in a container
    Option("AURORA_PORT", whole(0, 65535), "8080", "Port that `serve` listens on; 0 takes a free one."),
    Option("AURORA_DATA_DIR", path, "data", "Folder for the database, the generated keyring, and responses that wait for the database."),
    Option("DATABASE_URL", database_url, "", "Another database, such as postgres://user:password@host/name; SQLite in the data folder without it.", is_secret=True),
    Option("AURORA_CONFIG", path, "", "A YAML file with providers; without it `config.yaml` is read if it is there."),
    Option("AURORA_MASTER_KEY", secret, "", "Master keys to accept, comma-separated, of 16 or more characters. Changing it retires, at the next start, those that it held before.", is_secret=True),
    Option("AURORA_ADMIN_PASSWORD", password, "", "Password of the superuser `admin`, who is made at start if missing: 8 characters at least, and no common one.", is_secret=True),
    Option("AURORA_SECRET_KEYS", secrets, "", "The keyring: secrets of 32 or more characters, comma-separated, newest first. Made in the data folder without it; required with DATABASE_URL.", is_secret=True),
    Option("AURORA_PUBLIC_URL", public_urls, "", "Where browsers find the admin, such as https://aurora.example.com; several are separated by commas. The admin then answers under these hosts alone, and with https it redirects to it and makes cookies secure."),
    Option("AURORA_HSTS_SECONDS", whole(0, 63_072_000), "0", "With an https public URL: how long browsers remember to come by https only (Strict-Transport-Security); with 0 they are not told to."),
    Option("AURORA_CORS_ORIGINS", origins, "", "Web pages that may call `/v1` and `/p` from a browser: their origins, such as https://chat.example.com, comma-separated, or `*` for all. Never the admin."),
    Option("AURORA_MAX_BODY_BYTES", whole(1, 2**40), str(32 * 2**20), "Largest request body in bytes; over it a call is answered 413."),
    Option("AURORA_MEMORY_BYTES", whole(0, 2**50), "0", "Most memory in bytes that one process gives to what calls hold, such as bodies, answers that are read whole and what background responses have told; over it a call is answered 503, or 413 if it alone would take more. 0: half of what the machine, or the container, has."),
    Option("AURORA_UPLOAD_STALL_SECONDS", whole(1, 3600), "30", "Longest silence within an upload before the call is answered 408."),
    Option("AURORA_UPLOAD_BYTES_PER_SECOND", whole(1, 2**30), "1024", "Slowest upload: a body that falls behind this rate by AURORA_UPLOAD_STALL_SECONDS is answered 408."),
    Option("AURORA_CLIENT_STALL_SECONDS", whole(1, 3600), "60", "Longest time a client may leave an answer unread before its connection is closed."),
    Option("AURORA_STOP_DELAY_SECONDS", whole(0, 600), "5", "How long, after SIGTERM or SIGHUP, calls are still taken while /ready says 503: as long as load balancers need to notice. Ctrl-C does not wait."),
    Option("AURORA_DRAIN_SECONDS", whole(0, 86_400), "30", "How long running calls may go on after that; then streams are ended with an error event. Whatever ends the process must allow for both."),
    Option("AURORA_STREAM_HEAD_SECONDS", whole(1, 3600), "15", "How long a client waits for the first event of a stream before the head of its answer goes out, with a comment every 15 s. Keep it below the read timeouts of proxies."),
    Option("AURORA_CLIENT_CONNECTIONS", whole(1, 1_000_000), "10000", "Most connections of clients that one process holds. One more takes the place of one that is idle, or of the address that has most; calls go on."),
    Option("AURORA_UPSTREAM_CONNECTIONS", whole(1, 100_000), "10000", "Most connections to vLLM servers that one process holds; over it a call waits for one as long as for a connection."),
    Option("AURORA_METADATA_ADDRESSES", one_of("refused", "allowed"), "refused", "Whether vLLM servers may be at link-local addresses and those of a cloud's metadata service, such as 169.254.169.254: refused or allowed."),
    Option("AURORA_DISCOVERY_SECONDS", whole(1, 86_400), "60", "How often each vLLM server is asked for its models."),
    Option("AURORA_PROBE_SECONDS", whole(1, 10), "3", "How often each vLLM server's health and load are asked for, by one process of all."),
    Option("AURORA_POOL_POLICY", one_of("affinity", "least_loaded", "round_robin", "random"), "affinity", "How a server is chosen among those of a model, where no alias says otherwise: affinity, least_loaded, round_robin or random."),
    Option("AURORA_QUEUE_CALLS", whole(0, 100_000), "100", "Most calls that wait in one process for a server of a tier that has reached its max concurrency, where no alias says otherwise; one more goes to the next tier, or is answered 429."),
    Option("AURORA_QUEUE_SECONDS", whole(0, 3600), "30", "Longest such wait before the next tier is tried, or the call is answered 429."),
    Option("AURORA_RETRY_PERCENT", whole(0, 100), "20", "Retry budget: how many calls in a hundred may be retried after a server failed them, plus a small burst. 0: no call is sent twice."),
    Option("AURORA_DROPPED_HEADERS", header_patterns, "", "Headers that cross in neither direction between clients and vLLM servers, beside those that never do, comma-separated; a name may end with `*`."),
    Option("AURORA_PASSED_HEADERS", header_names, "", "Headers of requests that go on to vLLM servers although their names look like a sign-on proxy's, such as X-User-Id, comma-separated. Set it only if no such proxy trusts them behind Aurora."),
    Option("AURORA_RESPONSES_RETENTION_DAYS", whole(0, 36_500), "30", "How many days responses and unused conversations are kept; with 0 none are, and those kept before are removed."),
    Option("AURORA_STORED_BYTES_PER_KEY", whole(0, 2**50), str(10 * 2**30), "Most bytes of stored responses and conversations of one key, about; over it its responses are not kept, and say so, and nothing is added to its conversations. 0: no limit."),
    Option("AURORA_SPOOL_BYTES", whole(0, 2**40), str(256 * 2**20), "Most bytes of stored responses that one process keeps in `spool` in the data folder while the database does not take them; over it responses are dropped. With 0 they wait in memory alone."),
    Option("AURORA_BACKGROUND_RESPONSES", whole(1, 10_000), "100", "Most responses that one process generates in the background at once; one more is answered 429."),
    Option("AURORA_LOG_LEVEL", log_level, "info", "Least severe log lines that are written."),
    Option("AURORA_LOG_FORMAT", one_of("auto", "json", "text"), "auto", "How log lines are written: json, one object a line; text, for people; auto: text on a terminal, json elsewhere."),
)  # fmt: skip


NAMES = tuple(option.name for option in OPTIONS)


def read(environment: Mapping[str, str]) -> dict[str, Any]:
    """The value of every option, by name. Raises BadOption for the first that cannot be used.

    Not by `environ.Env.str`: it takes a value that begins with `$` for another variable's name,
    and a master key may begin so.
    """
    return {option.name: _value(option, environment) for option in OPTIONS}


def read_one(name: str, environment: Mapping[str, str]) -> Any:
    """The value of this option alone. Raises BadOption."""
    return _value(OPTIONS[NAMES.index(name)], environment)


def _value(option: Option, environment: Mapping[str, str]) -> Any:
    given = environment.get(option.name, "") or option.default
    try:
        given.encode()
        value = option.parse(given)
        return _hidden(value) if option.is_secret else value
    except UnicodeEncodeError:
        raise BadOption(f"{option.name}: it is not UTF-8 text") from None
    except ValueError as error:
        ending = "" if option.is_secret else shown(given)
        raise BadOption(f"{option.name}: {error}{ending}") from error


def _hidden(value: Any) -> Any:
    """A secret text, or a tuple of them, that `manage.py diffsettings` and the like do not print."""
    return Hidden(value) if isinstance(value, str) else tuple(map(Hidden, value))
