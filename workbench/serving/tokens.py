"""Tokens as values: what one allows, how much, and the hash that is all the server keeps of it.

A token is 32 random bytes, so its plain SHA-256 cannot be guessed backwards; a slow hash, as for
passwords, would only slow each request.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from workbench.core.config import Config
from workbench.core.errors import InputError, unknown_name

Scope = Literal["predict", "manage", "metrics"]
SCOPES: tuple[Scope, ...] = ("predict", "manage", "metrics")
_TOKEN_BYTES = 32
_SHORTEST = 16


class KeyLimits(Config):
    """How much one token may ask for; an option that is not set does not limit."""

    rate: float | None = Field(None, gt=0, description="Predictions asked for a second")
    burst: int | None = Field(
        None, ge=1, description="Predictions asked for at once; by default a second's worth"
    )
    body_bytes: int | None = Field(None, ge=1, description="Bytes of one request's body")
    values: int | None = Field(None, ge=1, description="Numbers in one request's tensors")


class Grant(Config):
    """What a token allows."""

    name: str = Field(min_length=1, max_length=64, description="For logs, audit and revoking")
    scopes: tuple[Scope, ...] = Field(
        ("predict",), description="predict (which may read /metrics, too), manage, metrics"
    )
    models: tuple[str, ...] | None = Field(None, description="Only these; by default all")
    expires: float | None = Field(None, description="Seconds since 1970; by default never")
    limits: KeyLimits = Field(default_factory=KeyLimits, description="How much")

    def covers(self, scope: Scope) -> bool:
        """Returns whether it may do what needs a scope."""
        return scope in self.scopes or (scope == "metrics" and "predict" in self.scopes)

    def allows(self, model: str) -> bool:
        """Returns whether it may use a model."""
        return self.models is None or model in self.models


class Token(Grant):
    """A grant with the SHA-256 of its token, in hexadecimal digits."""

    digest: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the token's text")

    @property
    def grant(self) -> Grant:
        """What it allows, without the hash."""
        return Grant(**{name: getattr(self, name) for name in Grant.model_fields})


def new_token() -> str:
    """Returns 32 random bytes as URL-safe text."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def digest_of(clear: str) -> str:
    """Returns the SHA-256 of a token's text, in hexadecimal digits."""
    return hashlib.sha256(clear.encode("utf-8", "surrogateescape")).hexdigest()


def hash_token(
    clear: str, name: str, scopes: Iterable[str] = SCOPES, expires: float | None = None
) -> Token:
    """Returns what the server keeps of a clear token.

    Raises:
        InputError: The token is too short to be a secret.
        NotFoundError: A scope is unknown.
    """
    for scope in scopes:
        if scope not in SCOPES:
            raise unknown_name("scope", scope, SCOPES)
    return with_digest(clear, Grant(name=name, scopes=tuple(scopes), expires=expires))


def with_digest(clear: str, grant: Grant) -> Token:
    """Returns a grant with the hash of its token.

    Raises:
        InputError: The token is too short to be a secret.
    """
    if len(clear) < _SHORTEST:
        raise InputError(
            f"Got a token of {len(clear)} characters; at least {_SHORTEST} are needed.",
            hint="Leave the token out and a random one is made.",
        )
    return Token(**vars(grant), digest=digest_of(clear))
