"""The workspace's Ed25519 key, and those of others whose versions it takes.

Whoever holds `keys/` can sign; that is outside the threat model.
"""

from __future__ import annotations

import hmac
from functools import cached_property
from typing import TYPE_CHECKING

from workbench.core.errors import IntegrityError
from workbench.core.files import write_private
from workbench.core.ids import digest_bytes
from workbench.core.lazy import lazy
from workbench.store.home import Home

if TYPE_CHECKING:
    from workbench.store import ed25519
else:
    ed25519 = lazy("workbench.store.ed25519")  # 8 MB; who serves a file signs nothing

_MAC_KEY = b"workbench: key of the seals"


class Signer:
    """Signs and checks with the workspace's key (RFC 8032). It is made once, with the workspace."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._path = home.keys / "signing.pem"
        self._trusted = home.keys / "trusted"

    @property
    def has_key(self) -> bool:
        """Whether the workspace's key is there."""
        return self._path.exists()

    def create(self) -> None:
        """Makes the key of a new workspace; for who holds the database's write lock."""
        if not self.has_key:
            self._home.folder(self._path.parent)
            ed25519.write_new(self._path)

    def sign(self, message: bytes) -> str:
        """Returns the signature of `message` as hexadecimal digits."""
        return self._key.sign(message).hex()

    def mac(self, message: bytes) -> str:
        """Returns what only the holder of the key can compute of `message`, in some 3 µs."""
        return hmac.digest(self._mac_key, message, "sha256").hex()

    def check(self, message: bytes, signature: str, *, what: str) -> None:
        """Checks a signature.

        Raises:
            IntegrityError: It is not the signature of `message` by this workspace, nor by one that
                it trusts.
        """
        for key in (self._key.public_key(), *self._others()):
            if ed25519.is_signed(key, message, signature):
                return
        raise IntegrityError(
            f"The signature of {what} is not valid.",
            hint="It was changed, or signed by another workspace's key.",
        )

    def public_key(self) -> bytes:
        """Returns what others need to check this workspace's signatures, as PEM."""
        return ed25519.public_pem(self._key)

    def fingerprint(self) -> str:
        """Returns what tells the key from others, without telling it."""
        return digest_bytes(self.public_key())

    def trust(self, name: str, pem: bytes) -> None:
        """Also takes the signatures of another workspace, whose public key this is."""
        write_private(self._home.folder(self._trusted) / f"{name}.pem", pem.decode())

    def _others(self) -> list[ed25519.PublicKey]:
        return ed25519.read_public(self._trusted)

    @cached_property
    def _key(self) -> ed25519.PrivateKey:
        """The key; never a new one in the place of one that is gone."""
        if not self.has_key:
            raise IntegrityError(
                f"The workspace's key {self._path} is missing: nothing that was signed or sealed "
                "with it can be checked, and nothing added.",
                hint="Restore the folder keys/ from a backup; listing works without. If it is lost "
                "for good, start a new workspace and register the models there.",
                context={"path": str(self._path)},
            )
        return ed25519.read_private(self._path)

    @cached_property
    def _mac_key(self) -> bytes:
        return hmac.digest(self._key.private_bytes_raw(), _MAC_KEY, "sha256")
