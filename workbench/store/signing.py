"""The workspace's Ed25519 key, and those of others whose versions it takes.

Whoever holds `keys/` can sign; that is outside the threat model.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from workbench.core.errors import IntegrityError
from workbench.core.host import FileLock
from workbench.store.home import Home


class Signer:
    """Signs and checks with the workspace's key, made on first use (RFC 8032)."""

    def __init__(self, home: Home) -> None:
        self._path = home.keys / "signing.pem"
        self._trusted = home.keys / "trusted"

    def sign(self, message: bytes) -> str:
        """Returns the signature of `message` as hexadecimal digits."""
        return self._key.sign(message).hex()

    def check(self, message: bytes, signature: str, *, what: str) -> None:
        """Checks a signature.

        Raises:
            IntegrityError: It is not the signature of `message` by this workspace, nor by one that
                it trusts.
        """
        for key in (self._key.public_key(), *self._others()):
            try:
                key.verify(bytes.fromhex(signature), message)
            except (InvalidSignature, ValueError):
                continue
            return
        raise IntegrityError(
            f"The signature of {what} is not valid.",
            hint="It was changed, or signed by another workspace's key.",
        )

    def public_key(self) -> bytes:
        """Returns what others need to check this workspace's signatures, as PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def trust(self, name: str, pem: bytes) -> None:
        """Also takes the signatures of another workspace, whose public key this is."""
        self._trusted.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._trusted / f"{name}.pem").write_bytes(pem)

    def _others(self) -> list[Ed25519PublicKey]:
        found = [load_pem_public_key(path.read_bytes()) for path in self._trusted.glob("*.pem")]
        return [key for key in found if isinstance(key, Ed25519PublicKey)]

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        with FileLock(self._path.with_suffix(".lock")):
            if not self._path.exists():
                _write_key(self._path)
            key = load_pem_private_key(self._path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise IntegrityError(f"{self._path.name} is not an Ed25519 key.")
        return key


def _write_key(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    aside = path.with_suffix(".new")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
