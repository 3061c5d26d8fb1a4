"""This package as a wheel, made of the installed files, so that an image gets what runs here.

Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

from workbench.core.errors import NotFoundError

_NAME = "maas-workbench"
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
_PACKAGE = Path(__file__).parents[2]


def pack(folder: Path) -> Path:
    """Writes the wheel into a folder; the same files give the same bytes.

    Raises:
        NotFoundError: The package runs without being installed, so its metadata are not there.
    """
    found = distribution(_NAME)
    metadata, entry_points = found.read_text("METADATA"), found.read_text("entry_points.txt")
    if metadata is None or entry_points is None:
        raise NotFoundError(f"{_NAME} has no metadata here.", hint="Install it: pip install .")
    stem = f"{_NAME.replace('-', '_')}-{found.version}"
    info = f"{stem}.dist-info"
    files = {
        path.relative_to(_PACKAGE.parent).as_posix(): path.read_bytes()
        for path in sorted(_PACKAGE.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    files[f"{info}/METADATA"] = metadata.encode()
    files[f"{info}/entry_points.txt"] = entry_points.encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: workbench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = [_row(name, data) for name, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, _FIRST_DATE)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return path


def _row(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"
