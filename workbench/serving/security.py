"""Who may do what: tokens kept as hashes, scopes, and the Host header. Knows no route."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from workbench.core.errors import ForbiddenError, InputError, UnauthorizedError, unknown_name
from workbench.serving.messages import Request

Scope = Literal["predict", "manage"]
SCOPES: tuple[Scope, ...] = ("predict", "manage")
_TOKEN_BYTES = 32
_SHORTEST = 16


@dataclass(frozen=True)
class Token:
    """A token as the server knows it: never its text, only the SHA-256 of it.

    Attributes:
        name: For logs and for revoking.
        digest: SHA-256 of the clear token.
        scopes: What it allows.
        expires: Seconds since the epoch; None never.
    """

    name: str
    digest: bytes
    scopes: frozenset[Scope]
    expires: float | None = None


def new_token() -> str:
    """Returns 32 random bytes as URL-safe text."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def hash_token(
    clear: str, name: str, scopes: Iterable[Scope] = SCOPES, expires: float | None = None
) -> Token:
    """Returns what the server keeps of a clear token.

    Raises:
        InputError: The token is too short to be a secret, or a scope is unknown.
    """
    if len(clear) < _SHORTEST:
        raise InputError(
            f"Got a token of {len(clear)} characters; at least {_SHORTEST} are needed.",
            hint="Leave the token out and a random one is made.",
        )
    for scope in scopes:
        if scope not in SCOPES:
            raise unknown_name("scope", scope, SCOPES)
    return Token(name, hashlib.sha256(clear.encode()).digest(), frozenset(scopes), expires)


class Gate:
    """Checks each request before anything of its body is looked at.

    Args:
        tokens: Those known at the start.
        hosts: Host names that may stand in the Host header, beside localhost and IP addresses.
    """

    def __init__(self, tokens: Iterable[Token], hosts: Iterable[str] = ()) -> None:
        self._tokens = {token.name: token for token in tokens}
        self._hosts = {"localhost", *(host.lower() for host in hosts)}
        self._good_hosts: set[bytes] = set()

    def check_host(self, request: Request) -> None:
        """Refuses a foreign Host header: a web page whose name was re-bound to this address.

        Who sends a token of this endpoint is no such page: the Jupyter proxy of a hub passes the
        hub's own name on.

        Raises:
            ForbiddenError: The name is neither an address, nor localhost, nor allowed.
        """
        raw = request.headers.get(b"host", b"")
        if raw in self._good_hosts or not raw:
            return
        name = _host_name(raw.decode("latin-1"))
        is_ours = name in self._hosts or name.endswith(".localhost") or _is_address(name)
        if not is_ours and not self.is_known(request):
            raise ForbiddenError(
                f"Got a request for the host '{name}', which is not one of this endpoint.",
                hint="Send its token, call it by its address, or start it with --allow-host NAME.",
                context={"host": name},
            )
        if is_ours and len(self._good_hosts) < 64:
            self._good_hosts.add(raw)

    def check(self, request: Request, scope: Scope | None) -> Token | None:
        """Returns the token that allows `scope`; `scope` None is open to everyone.

        Raises:
            UnauthorizedError: No token was sent.
            ForbiddenError: The token is wrong, expired, or does not cover the scope.
        """
        if scope is None:
            return None
        token = self._find(_bearer(request))
        if scope not in token.scopes:
            raise ForbiddenError(
                f"The token '{token.name}' allows {', '.join(sorted(token.scopes))}, not {scope}.",
                hint=f"Use a token with the scope {scope}.",
                context={"scope": scope},
            )
        return token

    def is_known(self, request: Request) -> bool:
        """Returns whether the request carries any valid token."""
        try:
            self._find(_bearer(request))
        except (UnauthorizedError, ForbiddenError):
            return False
        return True

    def add(self, token: Token) -> None:
        """Lets a further token in.

        Raises:
            InputError: The name is taken.
        """
        if token.name in self._tokens:
            raise InputError(f"The token name '{token.name}' is taken.", hint="Choose another.")
        self._tokens[token.name] = token

    def revoke(self, name: str) -> None:
        """Shuts a token out, from the next request on.

        Raises:
            NotFoundError: No such token.
        """
        if name not in self._tokens:
            raise unknown_name("token", name, self._tokens)
        del self._tokens[name]

    def tokens(self) -> list[Token]:
        """Returns what is known of each token."""
        return list(self._tokens.values())

    def _find(self, clear: str) -> Token:
        digest = hashlib.sha256(clear.encode("utf-8", "surrogateescape")).digest()
        found = None
        for token in self._tokens.values():
            if hmac.compare_digest(token.digest, digest):
                found = token
        if found is None:
            raise ForbiddenError(
                "Got a token that this endpoint does not know.",
                hint="The token is in the endpoint's record: wb.endpoints()[0].token.",
            )
        if found.expires is not None and datetime.now(UTC).timestamp() > found.expires:
            raise ForbiddenError(f"The token '{found.name}' has expired.", hint="Make a new one.")
        return found


def _bearer(request: Request) -> str:
    value = request.headers.get(b"authorization")
    if value is None:
        raise UnauthorizedError(
            "Got no token; this endpoint needs one.",
            hint="Send the header 'Authorization: Bearer $WORKBENCH_TOKEN'.",
        )
    kind, _, clear = value.decode("latin-1").partition(" ")
    if kind.lower() != "bearer" or not clear.strip():
        raise UnauthorizedError(
            f"Got an Authorization header of the kind '{kind[:20]}'; Bearer would be right.",
            hint="Send the header 'Authorization: Bearer $WORKBENCH_TOKEN'.",
        )
    return clear.strip()


def _host_name(value: str) -> str:
    value = value.strip().lower()
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0].rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
