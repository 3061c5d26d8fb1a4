"""A certificate generated and signed by itself (X.509, RFC 5280).

It is for this machine and those that are told of it: clients of the workbench find it in the
discovery file and trust it alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from workbench.core.files import private_folder, storing, write_private

_CERTIFICATE, _KEY = "certificate.pem", "key.pem"
_VALID, _RENEWED = timedelta(days=365), timedelta(days=30)


def find_or_make(folder: Path, names: Iterable[str]) -> tuple[Path, Path]:
    """Returns certificate and key in `folder`, made if there is none or it ends soon.

    P-256, SHA-256, valid for a year, for `names` and this machine's own.

    Raises:
        StorageError: The folder cannot be written.
    """
    path, key = folder / _CERTIFICATE, folder / _KEY
    wanted = sorted({"localhost", "127.0.0.1", "::1", *(name for name in names if name)})
    if not _is_good(path, key, wanted):
        with storing("The endpoint's certificate"):
            _make(path, key, wanted)
    return path, key


def _is_good(path: Path, key: Path, names: list[str]) -> bool:
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        known = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    ends = found.not_valid_after_utc
    return key.is_file() and ends - datetime.now(UTC) > _RENEWED and set(known) == set(_alt(names))


def _alt(names: list[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _make(path: Path, key_path: Path, names: list[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "workbench endpoint")])
    began = datetime.now(UTC) - timedelta(minutes=5)
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + _VALID)
        .add_extension(x509.SubjectAlternativeName(_alt(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(public, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(public), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private_folder(path.parent)
    write_private(key_path, secret.decode())
    write_private(path, made.public_bytes(pem).decode())
