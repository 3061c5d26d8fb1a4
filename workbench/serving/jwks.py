"""Identity from an identity provider: its JSON Web Tokens, checked against its published keys.

Sources: RFC 7519 (JWT), RFC 7517 (JWKS), RFC 8725 (best practices): only signatures with a public
key are taken, with an expiry, an issuer and an audience that were named at the start. Needs PyJWT.
"""

from __future__ import annotations

import json
import logging
import threading
import urllib.request
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from workbench.core.errors import ForbiddenError, InputError
from workbench.core.optional import require
from workbench.serving.provider import Provider
from workbench.serving.tokens import SCOPES, Token, digest_of

_LOGGER = logging.getLogger(__name__)
_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
_WAIT_S = 5.0
_PAUSE_S = 30.0
_LARGEST = 1_000_000
_MOST_KNOWN = 1024
_LEEWAY_S = 30


class JwtVerifier:
    """Makes grants of JWTs. Keys are fetched at the start, and again for an unknown key.

    The scopes are those of `predict`, `manage` and `metrics` in the claim `scope` (or `scp`), the
    models those in the claim `models`, if there is one.

    Args:
        provider: Whose.

    Raises:
        MissingDependencyError: PyJWT is not installed.
        InputError: The keys cannot be had.
    """

    def __init__(self, provider: Provider) -> None:
        self._jwt = require("jwt", for_="JWTs", extra="jwt")
        self._provider = provider
        self._keys = self._fetch()
        self._known: dict[str, Token] = {}
        self._fetched_at = monotonic()
        self._fetching = threading.Lock()

    def verify(self, text: str) -> Token:
        """Returns what a JWT allows; one seen before costs a look-up.

        Raises:
            ForbiddenError: It is forged, expired, for others, or without a scope.
        """
        digest = digest_of(text)
        found = self._known.get(digest)
        if found is None:
            found = self._token(self._claims(text), digest)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[digest] = found
        return found

    def _claims(self, text: str) -> dict[str, Any]:
        jwt = self._jwt
        try:
            key = self._keys.get(str(jwt.get_unverified_header(text).get("kid")))
            if key is None:
                self._refresh()
                raise ForbiddenError(
                    "Got a JWT signed with a key that its provider has not published.",
                    hint="If the provider changed its keys just now, try again in a minute.",
                )
            claims: dict[str, Any] = jwt.decode(
                text,
                key.key,
                algorithms=[key.algorithm_name] if key.algorithm_name in _ALGORITHMS else [],
                issuer=self._provider.issuer,
                audience=self._provider.audience,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise ForbiddenError(
                f"Got a JWT that is not valid here: {error}.",
                hint=f"It must be issued by {self._provider.issuer} for {self._provider.audience}.",
            ) from error
        return claims

    def _token(self, claims: dict[str, Any], digest: str) -> Token:
        scopes = _words(claims.get("scope", claims.get("scp")))
        models = claims.get("models")
        return Token(
            name=f"jwt:{claims['sub']}"[:64],
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            models=None if models is None else tuple(_words(models)),
            expires=float(claims["exp"]) + _LEEWAY_S,
            digest=digest,
        )

    def _refresh(self) -> None:
        """Fetches the keys beside the requests, at most every half minute."""
        if monotonic() - self._fetched_at < _PAUSE_S or not self._fetching.acquire(blocking=False):
            return
        self._fetched_at = monotonic()

        def fetch() -> None:
            try:
                self._keys = self._fetch()
            except InputError as error:
                _LOGGER.warning("the identity provider's keys could not be fetched: %s", error)
            finally:
                self._fetching.release()

        threading.Thread(target=fetch, name="jwks", daemon=True).start()

    def _fetch(self) -> dict[str, Any]:
        where = self._provider.keys
        try:
            if urlsplit(where).scheme == "https":
                with urllib.request.urlopen(where, timeout=_WAIT_S) as answer:
                    text = answer.read(_LARGEST)
            else:
                text = Path(where).expanduser().read_bytes()
            found = self._jwt.PyJWKSet.from_dict(json.loads(text))
        except (OSError, ValueError, self._jwt.PyJWTError) as error:
            raise InputError(
                f"The keys of the identity provider at '{where}' cannot be had: {error}.",
                hint="Give a JWKS file, or its https address.",
            ) from error
        return {str(key.key_id): key for key in found.keys}


def _words(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [str(item) for item in value] if isinstance(value, list) else []
