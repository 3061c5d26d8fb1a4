"""Ed25519 keys as PEM files (RFC 8032, by the package cryptography)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey as PrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PublicKey as PublicKey,
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
from workbench.core.files import write_private

__all__ = ["PrivateKey", "PublicKey"]
_RESTORE = "Restore the folder keys/ from a backup."


def is_signed(key: PublicKey, message: bytes, signature: str) -> bool:
    """Returns whether `signature`, in hexadecimal digits, is that of `message` with a key."""
    try:
        key.verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def public_pem(key: PrivateKey) -> bytes:
    """Returns the public half of a key as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public(folder: Path) -> list[PublicKey]:
    """Returns every public key in a folder."""
    found = []
    for path in folder.glob("*.pem"):
        with _loading(path):
            found.append(load_pem_public_key(path.read_bytes()))
    return [key for key in found if isinstance(key, PublicKey)]


def read_private(path: Path) -> PrivateKey:
    """Returns the key in a file.

    Raises:
        IntegrityError: It holds another sort of key, or none.
    """
    with _loading(path):
        key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, PrivateKey):
        raise IntegrityError(f"The key {path} is not an Ed25519 key.", hint=_RESTORE)
    return key


def write_new(path: Path) -> None:
    """Makes a key and keeps it in a file that only its owner may read, whole or not at all."""
    pem = PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(path, pem.decode(), durable=True)


@contextmanager
def _loading(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IntegrityError(
            f"The key {path} cannot be read: it holds no key.", hint=_RESTORE
        ) from error
