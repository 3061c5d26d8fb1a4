"""The identity provider whose JSON Web Tokens an endpoint takes, as its options name it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from workbench.core.errors import InputError


@dataclass(frozen=True)
class Provider:
    """Whose tokens are taken.

    Attributes:
        keys: Path or https URL of the JWKS.
        issuer: What the claim `iss` must be.
        audience: What the claim `aud` must hold.
    """

    keys: str
    issuer: str
    audience: str


def read_provider(keys: str | None, issuer: str | None, audience: str | None) -> Provider | None:
    """Returns the provider that the options describe; None without any.

    Raises:
        InputError: One of the three is missing, or the address is neither a file nor https.
    """
    given = {"--jwks": keys, "--jwt-issuer": issuer, "--jwt-audience": audience}
    if not any(given.values()):
        return None
    problems = [f"{name} is missing" for name, value in given.items() if not value]
    if keys and urlsplit(keys).scheme == "http":
        problems.append(f"--jwks {keys}: https or a file; plain http can be forged")
    if problems or not (keys and issuer and audience):
        raise InputError(
            "The options of the identity provider are not complete.",
            problems=problems,
            hint="Without issuer and audience, tokens meant for others would be taken.",
        )
    return Provider(keys, issuer, audience)


def is_jwt(text: str) -> bool:
    """Returns whether a token has the form of a JWT."""
    return text.count(".") == 2 and text.startswith("ey")
