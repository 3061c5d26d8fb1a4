"""Ed25519 keys as PEM files (RFC 8032, by the package cryptography)."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature
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


def is_signed(key: PublicKey, message: bytes, signature: str) -> bool:
    """Returns whether `signature`, in hexadecimal digits, is that of `message` with a key."""
    try:
        key.verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_pem(key: PrivateKey) -> bytes:
    """Returns the public half of a key as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public(folder: Path) -> list[PublicKey]:
    """Returns every public key in a folder."""
    found = [load_pem_public_key(path.read_bytes()) for path in folder.glob("*.pem")]
    return [key for key in found if isinstance(key, PublicKey)]


def read_private(path: Path) -> PrivateKey:
    """Returns the key in a file.

    Raises:
        IntegrityError: It holds another sort of key.
    """
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, PrivateKey):
        raise IntegrityError(f"{path.name} is not an Ed25519 key.")
    return key


def write_new(path: Path) -> None:
    """Makes a key and keeps it in a file that only its owner may read, whole or not at all."""
    pem = PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(path, pem.decode(), durable=True)
