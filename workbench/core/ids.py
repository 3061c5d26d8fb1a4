"""Identities: sortable random ids for runs, digests of content for everything immutable."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id() -> str:
    """Returns 14 characters: 8 that grow with the time in milliseconds, then 6 random ones."""
    stamp = time.time_ns() // 1_000_000
    head = "".join(_ALPHABET[(stamp >> (5 * i)) & 31] for i in range(8, -1, -1))[1:]
    return head + "".join(secrets.choice(_ALPHABET) for _ in range(6))


def canonical_json(value: Any) -> bytes:
    """Returns `value` as JSON bytes that are equal for equal values: sorted keys, no blanks, UTF-8.

    Raises:
        ValueError: The value holds NaN or infinity.
        TypeError: The value holds something that is not JSON.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def digest_bytes(data: bytes) -> str:
    """Returns the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_json(value: Mapping[str, Any] | list[Any]) -> str:
    """Returns the SHA-256 of `canonical_json(value)`."""
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    """Returns the SHA-256 of a file, read in chunks."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()
