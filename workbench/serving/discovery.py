"""Discovery files: how another process finds a running endpoint and its token.

One file an endpoint, readable by its owner only, in the Jupyter runtime directory. The rules for
that directory are jupyter_core's, repeated here since an endpoint does not import Jupyter.

They bear no seal: they hold the clear token, so who can write one as this user is this user, and an
endpoint of a file has no workspace and no key. A file of another user, or a link, is not read.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from workbench.core.errors import InputError
from workbench.core.files import private_folder, private_opener, write_private
from workbench.core.host import process_start

_PREFIX, _SUFFIX = "workbench-endpoint-", ".json"
_TORN_S = 60.0


@dataclass(frozen=True)
class EndpointInfo:
    """A running endpoint as another process finds it.

    Attributes:
        id: Of the endpoint.
        url: Base URL, without a slash at the end.
        token: The clear token; it is nowhere else on disk.
        models: Names served.
        refs: What each was asked for by.
        pid: Process id.
        pid_started: When that process began, in the system's own count; tells a reused pid.
        started: ISO 8601.
        home: The workspace.
        certificate: PEM text that a client trusts; empty without TLS.
        grpc: Host and port for gRPC; empty if that is not answered.
        failed: Why nothing answers though the process is there; empty if it does.
    """

    id: str
    url: str
    token: str
    models: tuple[str, ...]
    refs: tuple[str, ...]
    pid: int
    pid_started: str
    started: str
    home: str
    certificate: str = ""
    grpc: str = ""
    failed: str = ""

    def __repr__(self) -> str:
        return f"EndpointInfo(id={self.id!r}, url={self.url!r}, models={self.models!r})"


def tell_models(id_: str, models: Sequence[str]) -> None:
    """Notes in an endpoint's discovery file what it serves now."""
    info = read(id_)
    if info is not None and info.models != tuple(models):
        write(replace(info, models=tuple(models)))


def tell_failed(id_: str, reason: str) -> None:
    """Notes in an endpoint's discovery file that nothing answers, and why; "" if it does."""
    info = read(id_)
    if info is not None and info.failed != reason:
        write(replace(info, failed=reason))


def runtime_folder() -> Path:
    """Returns the Jupyter runtime directory, as jupyter_core would."""
    env = os.environ
    if chosen := env.get("JUPYTER_RUNTIME_DIR"):
        return Path(chosen)
    if data := env.get("JUPYTER_DATA_DIR"):
        return Path(data) / "runtime"
    home = Path.home()
    if sys.platform == "darwin":
        apple = (
            "Library/Application Support/jupyter" if _uses_platform_dirs() else "Library/Jupyter"
        )
        return home / apple / "runtime"
    if sys.platform == "win32":
        appdata = env.get("LOCALAPPDATA" if _uses_platform_dirs() else "APPDATA")
        return (Path(appdata) if appdata else home / ".jupyter" / "data") / "jupyter" / "runtime"
    return Path(env.get("XDG_DATA_HOME") or home / ".local" / "share") / "jupyter" / "runtime"


def write(info: EndpointInfo, folder: Path | None = None) -> Path:
    """Writes the discovery file, whole at once and readable by its owner only."""
    folder = folder or runtime_folder()
    path = path_of(info.id, folder)
    try:
        private_folder(folder)
        write_private(path, json.dumps(asdict(info), ensure_ascii=False))
    except OSError as error:
        raise InputError(
            f"The discovery folder {folder} cannot be written: {error.strerror}.",
            hint="Set JUPYTER_RUNTIME_DIR to a folder of yours.",
        ) from error
    return path


def read(id_: str, folder: Path | None = None) -> EndpointInfo | None:
    """Returns the endpoint `id_` if it runs."""
    info = _load(path_of(id_, folder or runtime_folder()))
    return info if info is not None and is_alive(info) else None


def running(folder: Path | None = None, *, home: Path | None = None) -> list[EndpointInfo]:
    """Returns all running endpoints, oldest first; removes the files of those that are gone.

    Args:
        folder: Where to look; by default the runtime directory.
        home: Only those of this workspace.
    """
    found: list[EndpointInfo] = []
    for path in _files(folder or runtime_folder(), f"{_PREFIX}*{_SUFFIX}"):
        info = _load(path)
        if info is None:
            continue
        if not is_alive(info):
            with suppress(OSError):  # not ours to remove: the others are told of all the same
                path.unlink(missing_ok=True)
        elif home is None or Path(info.home) == home:
            found.append(info)
    return sorted(found, key=_began)


def stale(folder: Path | None = None) -> list[Path]:
    """Returns discovery files of endpoints that are gone, and half-written ones of nobody."""
    folder = folder or runtime_folder()
    found = [path for path in _files(folder, f"{_PREFIX}*{_SUFFIX}") if _is_stale(path)]
    torn = _files(folder, f"{_PREFIX}*{_SUFFIX}.*.tmp")
    return found + [path for path in torn if time.time() - path.lstat().st_mtime > _TORN_S]


def forget(info: EndpointInfo, folder: Path | None = None) -> None:
    """Removes an endpoint's discovery file."""
    path_of(info.id, folder or runtime_folder()).unlink(missing_ok=True)


def is_alive(info: EndpointInfo) -> bool:
    """Returns whether the very process that wrote the file still runs."""
    return process_start(info.pid) == info.pid_started


def path_of(id_: str, folder: Path) -> Path:
    """Returns the discovery file of an endpoint."""
    return folder / f"{_PREFIX}{id_}{_SUFFIX}"


def _files(folder: Path, pattern: str) -> list[Path]:
    """Returns files that fit; none of a folder that is closed to this user."""
    try:
        return list(folder.glob(pattern))
    except PermissionError:
        return []


def _began(info: EndpointInfo) -> tuple[int, str, str]:
    """Returns what orders endpoints by their start, also when the clock went backward."""
    count = int(info.pid_started) if info.pid_started.isdecimal() else 0
    return count, info.started, info.id


def _is_stale(path: Path) -> bool:
    info = _load(path)
    return info is not None and not is_alive(info)


def _read_own(path: Path) -> str:
    """Returns the text of a file of this user; another's could send our requests elsewhere."""
    with open(path, encoding="utf-8", opener=private_opener) as file:
        if os.name == "posix" and os.fstat(file.fileno()).st_uid != os.geteuid():
            raise PermissionError(errno.EACCES, "is another user's", str(path))
        return file.read()


def _load(path: Path) -> EndpointInfo | None:
    try:
        data: dict[str, Any] = json.loads(_read_own(path))
        known = {field.name for field in fields(EndpointInfo)}
        values = {key: value for key, value in data.items() if key in known}
        lists = {key: tuple(values[key]) for key in ("models", "refs")}
        return EndpointInfo(**{**values, **lists})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _uses_platform_dirs() -> bool:
    return os.environ.get("JUPYTER_PLATFORM_DIRS", "").lower() in ("1", "true", "yes", "on", "y")
