"""TLS for an endpoint: a certificate of one's own, or one generated and signed by itself."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.core.errors import InputError
from workbench.core.lazy import lazy

if TYPE_CHECKING:
    from workbench.serving import self_signed
else:
    self_signed = lazy("workbench.serving.self_signed")

_SELF = "self"


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, as files.

    Attributes:
        path: PEM, with the chain if there is one.
        key: PEM, not encrypted.
        trusted: PEM text that a client must trust to reach this endpoint; empty if a public
            authority signed it.
    """

    path: Path
    key: Path
    trusted: str = ""

    def context(self) -> ssl.SSLContext:
        """Returns what a server needs; TLS 1.2 and later.

        Raises:
            InputError: The files are no certificate with its key.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.path, self.key)
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                f"'{self.path}' and '{self.key}' are no certificate with its key: {error}.",
                hint="Give PEM files, the key without a password: --tls CERTIFICATE KEY.",
            ) from error
        return context


def find_certificate(
    given: tuple[str, ...], folder: Path, names: Iterable[str]
) -> Certificate | None:
    """Returns the certificate asked for; a generated one is kept in `folder`.

    Args:
        given: Nothing, "self", or two PEM files: certificate and key.
        folder: Of the endpoint.
        names: Host names and addresses by which the endpoint is called.

    Raises:
        InputError: Something else was given, or a file is missing.
    """
    if not given:
        return None
    if given == (_SELF,):
        return generated(folder, names)
    missing = [name for name in given if not Path(name).expanduser().is_file()]
    if len(given) != 2 or missing:
        raise InputError(
            f"Got --tls {' '.join(given)}.",
            problems=[f"there is no file '{name}'" for name in missing if name != _SELF],
            hint="--tls self generates a certificate; --tls CERTIFICATE KEY takes your own.",
        )
    path, key = (Path(name).expanduser() for name in given)
    return Certificate(path, key, path.read_text(encoding="utf-8"))


def generated(folder: Path, names: Iterable[str]) -> Certificate:
    """Returns the certificate in `folder`, made if there is none or it ends soon.

    Raises:
        StorageError: The folder cannot be written.
    """
    path, key = self_signed.find_or_make(folder, names)
    return Certificate(path, key, path.read_text(encoding="utf-8"))
