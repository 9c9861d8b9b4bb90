"""Log lines to standard output: JSON, one object a line, or readable ones on a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import stat
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec


class JsonFormatter(logging.Formatter):
    """time, level, logger, message, then what the caller gave as `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class TextFormatter(logging.Formatter):
    """One line for people: time of day, level if it matters, message, then each field by name.

    Calls begin with what was asked and how it ended. Nothing in a line can move the cursor.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = dict(getattr(record, "fields", {}))
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        level = f"{record.levelname} " if record.levelno != logging.INFO else ""
        words = [f"{time} {level}{_headline(record, fields)}"]
        words += [f"{name}={value}" for name, value in fields.items() if value not in ("", None)]
        line = _visible(" ".join(words))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _headline(record: logging.LogRecord, fields: dict[str, Any]) -> str:
    """The message. Of a call, its fields that everybody looks for are taken out of `fields`."""
    if record.name != "aurora.calls":
        return record.getMessage()
    told = (fields.pop("method", ""), fields.pop("path", ""), fields.pop("status", ""))
    return " ".join(str(each) for each in told)


def _visible(text: str) -> str:
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class NoOutages(logging.Filter):
    """Leaves out Django's traceback for each request that a failing database fails.

    `outages` tells of the outage once; nothing else of Django's answers 503.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != 503


class NoCancelledCalls(logging.Filter):
    """Leaves out what asyncio tells of a call that was cancelled, as when its client leaves while a
    page is made: anybody could order that traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


class NoCallersWords(logging.Filter):
    """Of what Django tells of a request: no secret of its address, and no traceback of a request
    that was refused, which anybody could order."""

    def filter(self, record: logging.LogRecord) -> bool:
        match = getattr(getattr(record, "request", None), "resolver_match", None)
        token = str(match.kwargs.get("token", "")) if match else ""
        if token and isinstance(record.args, tuple):
            record.args = tuple(str(each).replace(token, "<token>") for each in record.args)
        if getattr(record, "status_code", 500) < 500:
            record.exc_info = None
        return True


class StdoutHandler(logging.StreamHandler[TextIO]):
    """Writes to standard output, and never waits for who reads it.

    A pipe that nobody empties would stop every call. Lines that it cannot take are dropped and
    counted; the next that it takes is followed by one that says how many.
    """

    PIPE_BYTES = 2**20

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.dropped_lines = 0
        self._pipe = self._open_pipe()

    def _open_pipe(self) -> int | None:
        """The file descriptor, if standard output is a pipe: from now on it does not block."""
        try:
            descriptor = self.stream.fileno()
        except (OSError, ValueError):  # replaced by something without one
            return None
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return None
        os.set_blocking(descriptor, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # more than this user may have
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, self.PIPE_BYTES)
        return descriptor

    def emit(self, record: logging.LogRecord) -> None:
        if self._pipe is None:
            super().emit(record)
            return
        try:
            os.write(self._pipe, f"{self.format(record)}\n".encode())
        except BlockingIOError:
            self.dropped_lines += 1
        except OSError:
            self.handleError(record)
        else:
            self._tell_of_dropped()

    def _tell_of_dropped(self) -> None:
        if self.dropped_lines:
            dropped, self.dropped_lines = self.dropped_lines, 0
            logging.getLogger("aurora.logs").warning("%d log lines were dropped", dropped)
