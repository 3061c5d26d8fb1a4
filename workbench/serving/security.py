"""Who may do what: tokens, their scopes, models and rates, and the Host header. Knows no route."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from workbench.core.errors import ForbiddenError, InputError, UnauthorizedError, unknown_name
from workbench.serving.errors import TooLargeError
from workbench.serving.messages import Request
from workbench.serving.provider import is_jwt
from workbench.serving.rates import Bucket, Cell
from workbench.serving.tokens import Scope, Token, digest_of

if TYPE_CHECKING:
    from workbench.serving.jwks import JwtVerifier

_PREFIX = 8


class Gate:
    """Checks each request before anything of its body is looked at.

    Args:
        tokens: Those known at the start.
        hosts: Host names that may stand in the Host header, beside localhost and IP addresses.
        cell: Where the rate of a token is counted; by default in this process.
        jwts: Also takes the tokens of an identity provider.
    """

    def __init__(
        self,
        tokens: Iterable[Token],
        hosts: Iterable[str] = (),
        cell: Callable[[Token], Cell] = lambda token: Cell(),
        jwts: JwtVerifier | None = None,
    ) -> None:
        self._cell = cell
        self._jwts = jwts
        self._tokens: dict[str, Token] = {}
        self._by_prefix: dict[str, list[Token]] = {}
        self._buckets: dict[str, Bucket] = {}
        for token in tokens:
            self._keep(token)
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
        if not token.covers(scope):
            raise ForbiddenError(
                f"The token '{token.name}' allows {', '.join(sorted(token.scopes)) or 'nothing'}, "
                f"not {scope}.",
                hint=f"Use a token with the scope {scope}.",
                context={"scope": scope},
            )
        return token

    def check_again(self, request: Request, scope: Scope | None) -> None:
        """Checks whether the token of an admitted request still holds; counts a prediction.

        Raises:
            WorkbenchError: As `check` and `spend`.
        """
        token = request.token
        if token is None or self._tokens.get(token.name) is not token:
            request.token = token = self.check(request, scope)
        elif token.expires is not None:
            _unexpired(token)
        if self._buckets and token is not None:
            self.spend(token, 0)

    def is_known(self, request: Request) -> bool:
        """Returns whether the request carries any valid token."""
        return self.known(request) is not None

    def known(self, request: Request) -> Token | None:
        """Returns the valid token that the request carries, if any."""
        try:
            return self._find(_bearer(request))
        except (UnauthorizedError, ForbiddenError):
            return None

    def spend(self, token: Token, announced: int) -> None:
        """Counts one prediction asked for.

        Args:
            token: Whose.
            announced: Bytes of the body.

        Raises:
            RateLimitedError: The token asks too often.
            TooLargeError: The body is larger than the token may send.
        """
        if self._buckets and token.name in self._buckets:
            self._buckets[token.name].take(token.name)
        if token.limits.body_bytes is not None:
            check_body(token, announced)

    def add(self, token: Token) -> None:
        """Lets a further token in.

        Raises:
            InputError: The name is taken.
        """
        if token.name in self._tokens:
            raise InputError(f"The token name '{token.name}' is taken.", hint="Choose another.")
        self._keep(token)

    def revoke(self, name: str) -> None:
        """Shuts a token out, from the next request on.

        Raises:
            NotFoundError: No such token.
        """
        if name not in self._tokens:
            raise unknown_name("token", name, self._tokens)
        token = self._tokens.pop(name)
        self._by_prefix[token.digest[:_PREFIX]].remove(token)
        self._buckets.pop(name, None)

    def tokens(self) -> list[Token]:
        """Returns what is known of each token."""
        return list(self._tokens.values())

    def _keep(self, token: Token) -> None:
        self._tokens[token.name] = token
        self._by_prefix.setdefault(token.digest[:_PREFIX], []).append(token)
        if token.limits.rate is not None:
            self._buckets[token.name] = Bucket(token.limits, cell=self._cell(token))

    def _find(self, clear: str) -> Token:
        """Looks a token up by its hash, which a caller cannot steer, and compares all of it."""
        if self._jwts is not None and is_jwt(clear):
            return _unexpired(self._jwts.verify(clear))
        digest = digest_of(clear)
        found = None
        for token in self._by_prefix.get(digest[:_PREFIX], ()):
            if hmac.compare_digest(token.digest, digest):
                found = token
        if found is None:
            raise ForbiddenError(
                "Got a token that this endpoint does not know.",
                hint="The token is in the endpoint's record: wb.endpoints()[0].token.",
            )
        return _unexpired(found)


def _unexpired(token: Token) -> Token:
    if token.expires is not None and time.time() > token.expires:
        raise ForbiddenError(f"The token '{token.name}' has expired.", hint="Make a new one.")
    return token


def check_body(token: Token, size: int) -> None:
    """Refuses a body larger than the token may send.

    Raises:
        TooLargeError: It is.
    """
    limit = token.limits.body_bytes
    if limit is not None and size > limit:
        raise _too_much(token, f"a body of {size} bytes", "limit_bytes", limit)


def check_model(token: Token | None, model: str) -> None:
    """Refuses a model that the token is not for.

    Raises:
        ForbiddenError: It is not.
    """
    if token is not None and not token.allows(model):
        raise ForbiddenError(
            f"The token '{token.name}' is not for the model '{model}'.",
            hint=f"It is for {', '.join(token.models or ())}.",
            context={"models": list(token.models or ())},
        )


def check_values(token: Token, count: int) -> None:
    """Refuses tensors of more numbers than the token may send.

    Raises:
        TooLargeError: They are.
    """
    limit = token.limits.values
    if limit is not None and count > limit:
        raise _too_much(token, f"tensors of {count} numbers", "limit_values", limit)


def _too_much(token: Token, got: str, name: str, limit: int) -> TooLargeError:
    return TooLargeError(
        f"Got {got}; the token '{token.name}' may send {limit}.",
        hint="Send fewer samples a request.",
        context={name: limit},
    )


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
