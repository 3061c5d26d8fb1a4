"""The workspace's Ed25519 key, and those of others whose versions it takes.

Whoever holds `keys/` can sign; that is outside the threat model.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from workbench.core.errors import IntegrityError
from workbench.core.files import private_folder, write_private
from workbench.core.host import FileLock
from workbench.core.lazy import lazy
from workbench.store.home import Home

if TYPE_CHECKING:
    from workbench.store import ed25519
else:
    ed25519 = lazy("workbench.store.ed25519")  # 8 MB; who serves a file signs nothing


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
            if ed25519.is_signed(key, message, signature):
                return
        raise IntegrityError(
            f"The signature of {what} is not valid.",
            hint="It was changed, or signed by another workspace's key.",
        )

    def public_key(self) -> bytes:
        """Returns what others need to check this workspace's signatures, as PEM."""
        return ed25519.public_pem(self._key)

    def trust(self, name: str, pem: bytes) -> None:
        """Also takes the signatures of another workspace, whose public key this is."""
        write_private(private_folder(self._trusted) / f"{name}.pem", pem.decode())

    def _others(self) -> list[ed25519.PublicKey]:
        return ed25519.read_public(self._trusted)

    @cached_property
    def _key(self) -> ed25519.PrivateKey:
        if not self._path.exists():
            with FileLock(self._path.with_suffix(".lock")):
                if not self._path.exists():
                    ed25519.write_new(self._path)
        return ed25519.read_private(self._path)
