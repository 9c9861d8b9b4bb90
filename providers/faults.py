"""Why a server could not be connected to: the fact, and what mends it. Pure."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """`fact` goes behind "cannot be reached: " and holds no address, since callers read it too;
    `mend` is one or two sentences for the operator."""

    fact: str
    mend: str = ""


HOST_NOT_FOUND = Fault(
    "host not found",
    "Check the spelling of the host name, and that the machine or container that Aurora runs in"
    " can look it up.",
)
REFUSED = Fault(
    "connection refused",
    "Nothing listens at this host and port. Check that vLLM runs there and listens on this"
    " address (--host, --port); within a container, localhost is the container itself.",
)
METADATA = Fault(
    "Aurora calls no metadata or link-local address",
    "Enter the server's own address; AURORA_METADATA_ADDRESSES=allowed lifts this.",
)
NO_ROUTE = Fault(
    "no route to host",
    "Check the address, and the network between Aurora and the server.",
)
NO_CONNECTION_IN_TIME = Fault(
    "no connection in time",
    "Check host and port, and whether a firewall between Aurora and the server drops connections.",
)
SELF_SIGNED = Fault(
    "its TLS certificate is self-signed",
    "To trust it, put the certificate into a PEM file, name the file in SSL_CERT_FILE, and start"
    " Aurora again.",
)
UNKNOWN_AUTHORITY = Fault(
    "its TLS certificate is from an authority that Aurora does not know",
    "Put your authority's certificate into a PEM file, name the file in SSL_CERT_FILE, and start"
    " Aurora again. If the authority is a public one, the server must send its intermediate"
    " certificates, too.",
)
EXPIRED = Fault("its TLS certificate has expired", "Renew the certificate on the server.")
NOT_YET_VALID = Fault(
    "its TLS certificate is not valid yet",
    "Check the clocks of Aurora's machine and of the one that made the certificate.",
)
OTHER_HOST = Fault(
    "its TLS certificate is for another host name",
    "Use a host name in the base URL that stands in the certificate, or have the certificate made"
    " for this name.",
)
BAD_CERTIFICATE = Fault("its TLS certificate is not accepted")
PLAIN_HTTP = Fault(
    "it speaks plain HTTP, and the base URL asks for HTTPS",
    "Write http:// in the base URL, or start vLLM with --ssl-certfile and --ssl-keyfile.",
)
SPEAKS_TLS = Fault(
    "it speaks TLS, and the base URL asks for plain HTTP", "Write https:// in the base URL."
)
TLS_ENDED = Fault(
    "it closed the connection during the TLS handshake",
    "Check that this port speaks TLS; if not, write http:// in the base URL.",
)
OLD_TLS = Fault(
    "it speaks no TLS version that Aurora accepts", "Let the server speak TLS 1.2 or later."
)
TLS_FAILED = Fault("the TLS handshake failed", "The server's log may say more.")

_OF_VERIFICATION = {
    9: NOT_YET_VALID,
    10: EXPIRED,
    18: SELF_SIGNED,
    2: UNKNOWN_AUTHORITY,
    19: UNKNOWN_AUTHORITY,
    20: UNKNOWN_AUTHORITY,
    21: UNKNOWN_AUTHORITY,
    62: OTHER_HOST,
    64: OTHER_HOST,
}
"""By OpenSSL's X509_V_ERR_… codes."""
_OF_HANDSHAKE = {
    "WRONG_VERSION_NUMBER": PLAIN_HTTP,
    "RECORD_LAYER_FAILURE": PLAIN_HTTP,
    "PACKET_LENGTH_TOO_LONG": PLAIN_HTTP,
    "HTTP_REQUEST": PLAIN_HTTP,
    "UNEXPECTED_EOF_WHILE_READING": TLS_ENDED,
    "UNSUPPORTED_PROTOCOL": OLD_TLS,
    "TLSV1_ALERT_PROTOCOL_VERSION": OLD_TLS,
}
"""By OpenSSL's reasons."""

_OF_SOCKETS: tuple[tuple[type[OSError], Fault], ...] = (
    (socket.gaierror, HOST_NOT_FOUND),
    (ConnectionRefusedError, REFUSED),
    (ConnectionResetError, TLS_ENDED),  # TCP's own handshake ends otherwise
)
_OF_NUMBERS = {errno.EHOSTUNREACH: NO_ROUTE, errno.ENETUNREACH: NO_ROUTE}


def of(error: OSError) -> Fault:
    """What kept a connection from coming about, by the error of the socket or of TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _OF_VERIFICATION.get(error.verify_code, BAD_CERTIFICATE)
    if isinstance(error, ssl.SSLError):
        return _OF_HANDSHAKE.get(error.reason or "", TLS_FAILED)
    known = next((fault for kind, fault in _OF_SOCKETS if isinstance(error, kind)), None)
    return known or _OF_NUMBERS.get(error.errno or 0) or _unnamed(error)


def _unnamed(error: OSError) -> Fault:
    return Fault(os.strerror(error.errno).lower() if error.errno else "no connection")
