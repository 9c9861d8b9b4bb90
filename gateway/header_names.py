"""Which headers never cross, by name: the lists, and why each is there. Pure.

What nobody has listed crosses as it came. So the lists name families rather than cases: a sign-on
proxy's next header has one of their words in its name, too. Names are lower case here; an
underscore counts as a hyphen, since many servers take the one for the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

MOST_NAMES = 4096
"""Of names whose fate is remembered."""
_TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-z]+")

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate"}
    | {b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
    | {b"http2-settings", b"max-forwards", b"proxy"}
)
"""Of one connection (RFC 9110, 7.6.1). A CGI program reads `Proxy` as the proxy to use."""

SECRET_WORDS = frozenset(
    {b"cookie", b"cookie2", b"jwt", b"bearer", b"apikey", b"secret", b"password", b"passwd"}
    | {b"passphrase", b"token", b"credential", b"credentials", b"signature"}
)
"""Words of names that carry a credential, as x-auth-token or cf-access-client-secret."""
SECRET_BEGINNINGS = (b"auth", b"oauth", b"webauth")
"""Of such words: authorization, authenticated, authentik."""
NO_SECRET_KEYS = (b"idempotency-key", b"session-key", b"cache-key", b"routing-key")
"""Ends of names of other keys than credentials. Any other `-key` is one."""
_SECRETS = frozenset({b"key", b"www-authenticate"})

IDENTITY_WORDS = frozenset(
    {b"email", b"mail", b"group", b"groups", b"role", b"roles", b"login", b"principal", b"identity"}
    | {b"claim", b"claims", b"assertion", b"oidc", b"iap", b"sso", b"saml", b"ldap", b"upn", b"dn"}
    | {b"cert", b"certificate", b"ssl", b"tls", b"mtls", b"consumer", b"impersonate", b"subject"}
)
"""Words of names by which a sign-on proxy says who somebody is. To a server behind Aurora it is
Aurora that calls, and whoever can send Aurora such a header could be anybody there."""
IDENTITY_BEGINNINGS = (b"user",)
NETWORK_WORDS = frozenset(
    {b"ip", b"clientip", b"ipcountry", b"addr", b"address", b"forwarded", b"proxyuser", b"override"}
    | {b"rewrite", b"original", b"scheme"}
)
"""Words of names that say where a request came from, or was meant to go: routers of the server's
own side would follow them."""
_USER_AGENT = b"user-agent"

NOT_TO_SERVERS = frozenset(
    {b"host", b"content-length", b"accept-encoding", b"expect", b"x-request-id"}
    | {b"via", b"from", b"origin", b"referer", b"x-host", b"front-end-https", b"x-wap-profile"}
)
PREFIXES_NOT_TO_SERVERS = (
    *(b"x-aurora-", b"sec-", b"proxy-", b"x-proxy-"),
    *(b"x-forwarded", b"forwarded", b"x-original-", b"x-rewrite-", b"x-http-", b"x-method-"),
    *(b"remote-", b"x-remote-", b"cf-", b"cdn-", b"fastly-", b"fly-", b"tailscale-", b"x-arr-"),
    *(b"x-envoy-", b"x-pomerium-", b"x-vouch-", b"x-appengine-", b"x-ms-client-principal"),
    *(b"x-goog-iap-", b"x-amzn-oidc-", b"x-azure-", b"x-waws-", b"x-client-cert"),
    *(b"x-accel-", b"x-sendfile", b"x-lighttpd-", b"x-reproxy-"),
    b"x-amzn-sagemaker-",  # to /invocations they name another model, or a session of one server
)
OPEN_TO_SERVERS = (b"x-stainless-", b"openai-", b"anthropic-", b"x-session-", b"x-vllm-")
"""Prefixes of what SDKs and vLLM say: no word of theirs is a sign-on's. A credential's is one."""

NOT_TO_CLIENTS = frozenset(
    {b"server", b"date", b"x-request-id", b"x-powered-by", b"via", b"x-real-ip", b"status"}
    | {b"location", b"content-location", b"refresh", b"link"}
    | {b"alt-svc", b"strict-transport-security", b"clear-site-data", b"nel", b"report-to"}
    | {b"reporting-endpoints", b"expect-ct", b"accept-ch", b"critical-ch", b"permissions-policy"}
    | {b"origin-agent-cluster", b"service-worker-allowed", b"sourcemap", b"x-sourcemap"}
    | {b"speculation-rules", b"supports-loading-mode", b"set-login", b"surrogate-control"}
    | {b"timing-allow-origin", b"upgrade-insecure-requests"}
)
"""What a server may say of its own origin, its network or its files, and not of Aurora's: browsers
and proxies would take it as Aurora's word."""
PREFIXES_NOT_TO_CLIENTS = (
    *(b"x-aurora-", b"access-control-", b"public-key-pins", b"sec-", b"proxy-", b"cross-origin-"),
    *(b"x-accel-", b"x-sendfile", b"x-lighttpd-", b"lighttpd-", b"x-litespeed-", b"x-reproxy-"),
    *(b"x-forwarded", b"forwarded", b"x-envoy-", b"x-original-", b"x-rewrite-", b"x-http-"),
    *(b"set-cookie", b"cdn-", b"x-middleware-"),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator adds: names, or beginnings of names."""

    passed: frozenset[bytes] = frozenset()
    """Cross to servers though a word of theirs is a sign-on's or a network's."""
    dropped: frozenset[bytes] = frozenset()
    dropped_prefixes: tuple[bytes, ...] = ()
    """Cross in no direction."""

    @classmethod
    def of(cls, passed: Iterable[str], dropped: Iterable[str]) -> Rules:
        """Of lower-case names; of `dropped`, one that ends with `*` stands for all that begin so."""
        names = [name.encode() for name in dropped]
        return cls(
            frozenset(name.encode() for name in passed),
            frozenset(name for name in names if not name.endswith(b"*")),
            tuple(name[:-1] for name in names if name.endswith(b"*")),
        )

    def drops(self, name: bytes) -> bool:
        return name in self.dropped or name.startswith(self.dropped_prefixes)


NO_RULES = Rules()


@lru_cache(maxsize=MOST_NAMES)
def goes_to_server(name: bytes, rules: Rules) -> bool:
    """Whether a request's header of this lower-case name crosses."""
    plain = name.replace(b"_", b"-")
    if _never_crosses(name, plain, rules) or plain in NOT_TO_SERVERS:
        return False
    if plain in rules.passed:
        return True
    if plain.startswith(PREFIXES_NOT_TO_SERVERS):
        return False
    if plain.startswith(OPEN_TO_SERVERS):
        return True
    words = plain.replace(_USER_AGENT, b"").split(b"-")
    return not any(
        word in IDENTITY_WORDS or word in NETWORK_WORDS or word.startswith(IDENTITY_BEGINNINGS)
        for word in words
    )


@lru_cache(maxsize=MOST_NAMES)
def goes_to_client(name: bytes, rules: Rules) -> bool:
    """Whether an answer's header of this lower-case name crosses."""
    plain = name.replace(b"_", b"-")
    if _never_crosses(name, plain, rules):
        return False
    return not (plain in NOT_TO_CLIENTS or plain.startswith(PREFIXES_NOT_TO_CLIENTS))


def _never_crosses(name: bytes, plain: bytes, rules: Rules) -> bool:
    """Whether it is no name of a header, or the same in both directions."""
    if _TOKEN.fullmatch(name) is None or plain in HOP_BY_HOP or rules.drops(plain):
        return True
    return is_secret(plain)


def is_secret(name: bytes) -> bool:
    """Whether a word of this lower-case, hyphenated name says that it carries a credential."""
    if name in _SECRETS or (name.endswith(b"-key") and not name.endswith(NO_SECRET_KEYS)):
        return True
    return any(
        word in SECRET_WORDS or word.startswith(SECRET_BEGINNINGS) for word in name.split(b"-")
    )
