"""The border for storage errors: a full, read-only, broken or foreign disk, said in words.

Whatever the system or SQLite says of it becomes one `StorageError`: what happened, where, what to
do. Every verb and every command passes through here; nothing else reads an `errno` for that.
"""

from __future__ import annotations

import errno
import functools
import inspect
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from workbench.core.errors import InputError, StorageError

_T = TypeVar("_T")
_FREE = (
    "Free some space (`workbench gc` removes what nothing needs, also on a full disk) and ask "
    "again; what was stored before is kept."
)
_READ_ON = (
    "Listing, verifying and serving work on; to change something, set WORKBENCH_HOME to a folder "
    "of yours that can be written."
)
_UNUSABLE = "cannot be used"
_LITTLE = 64 * 1024  # bytes; SQLite needs about as much beside a database
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")  # NumPy's, which has no errno
_ST_RDONLY: int = getattr(os, "ST_RDONLY", 1)
_NO_SCRATCH = "No usable temporary directory"  # tempfile's, with the errno of a missing file


@dataclass(frozen=True)
class _Reason:
    key: str
    words: str
    hint: str
    consequence: str = "cannot be written"


_FULL = _Reason("full", "the disk is full", _FREE)
_QUOTA = _Reason("quota", "your share of the disk is used up", _FREE)
_LIMIT = _Reason(
    "limit", "a file would be larger than is allowed here", "See `ulimit -f`, and ask again."
)
_READ_ONLY = _Reason("read_only", "it can only be read", _READ_ON)
_BROKEN = _Reason(
    "broken",
    "the disk reports an error",
    "Copy the workspace to another disk, set WORKBENCH_HOME to the copy, and run `workbench "
    "doctor` there; the system's log names the disk.",
    _UNUSABLE,
)
_FOREIGN = _Reason(
    "foreign",
    "you may not do that there",
    "Ask its owner, or set WORKBENCH_HOME to a folder of yours.",
    _UNUSABLE,
)
_SHAPE = _Reason(
    "damaged",
    "something else lies in its place",
    "Restore it from a backup, or set WORKBENCH_HOME to another folder to start anew.",
    _UNUSABLE,
)
_TOO_LONG = _Reason("too_long", "the path is too long", "Give a shorter one.", _UNUSABLE)
DAMAGED = _Reason(
    "damaged",
    "it is damaged",
    "Restore workbench.db from a backup. To start anew, move the whole workspace aside: without "
    "its database nobody knows what its files are.",
    _UNUSABLE,
)
_BUSY = _Reason(
    "busy", "another process keeps it locked", "Ask again once that has ended.", _UNUSABLE
)

_ANYWHERE = {
    errno.ENOSPC: _FULL,
    errno.EFBIG: _LIMIT,
    errno.EROFS: _READ_ONLY,
    errno.EIO: _BROKEN,
    errno.ENAMETOOLONG: _TOO_LONG,
    getattr(errno, "EDQUOT", errno.ENOSPC): _QUOTA,
    getattr(errno, "ESTALE", errno.EIO): _BROKEN,
}
_INSIDE = {  # elsewhere these are about a file of the user's, which whoever reads it names
    errno.EACCES: _FOREIGN,
    errno.EPERM: _FOREIGN,
    errno.ENOTDIR: _SHAPE,
    errno.EISDIR: _SHAPE,
    errno.ELOOP: _SHAPE,
    errno.EEXIST: _SHAPE,
    errno.ENOENT: _SHAPE,
}
_OF_SQLITE = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_IOERR: _BROKEN,
    sqlite3.SQLITE_NOLFS: _LIMIT,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_CANTOPEN: _SHAPE,
    sqlite3.SQLITE_PERM: _FOREIGN,
    sqlite3.SQLITE_AUTH: _FOREIGN,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
}


def storage_error(
    error: BaseException, *, root: Path | None = None, what: str = ""
) -> StorageError | None:
    """Returns what an error says of the disk, in words; None if it is about something else.

    Args:
        error: Any error.
        root: The workspace, or its database: what is missing, foreign or no folder in there is
            its matter.
        what: What could not be stored, as the beginning of a sentence; by default the path.
    """
    if isinstance(error, StorageError):
        return error
    reason = _reason(error, root)
    if reason is None:
        return None
    path = _path(error) or root
    subject = what or ("What was to be stored" if path is None else f"'{path}'")
    said = getattr(error, "strerror", None) or str(error)
    owner = _owner(path) if reason is _FOREIGN else ""
    words = f"{reason.words}, it belongs to {owner}" if owner else reason.words
    return StorageError(
        f"{subject} {reason.consequence}: {words} ({said}).",
        hint=reason.hint,
        context={"reason": reason.key, "path": None if path is None else str(path)},
    )


@contextmanager
def storage_border(root: Path | None = None, what: str = "") -> Iterator[None]:
    """Turns what a block raises about the disk into words; everything else passes.

    Raises:
        StorageError: The disk is full, read-only, broken, or somebody else's.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        found = storage_error(error, root=root, what=what)
        if found is None:
            raise
        raise found from error


def bordered(root: Callable[[Any], Path]) -> Callable[[type[_T]], type[_T]]:
    """Puts the border around every public method and property of a class.

    Args:
        root: From an instance to its workspace's folder.
    """

    def decorate(cls: type[_T]) -> type[_T]:
        for name, member in list(vars(cls).items()):
            if name.startswith("_"):
                continue
            if inspect.isfunction(member):
                setattr(cls, name, _guarded(member, root))
            elif isinstance(member, property) and member.fget is not None:
                setattr(cls, name, member.getter(_guarded(member.fget, root)))
        return cls

    return decorate


def _guarded(method: Callable[..., Any], root: Callable[[Any], Path]) -> Callable[..., Any]:
    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except (OSError, sqlite3.Error) as error:
            found = storage_error(error, root=root(self)) or _not_allowed(error)
            if found is None:
                raise
            raise found from error

    return guarded


def _not_allowed(error: Exception) -> InputError | None:
    """Returns the error for a file of the user's, outside the workspace, that is closed to them."""
    path = _path(error)
    if not isinstance(error, PermissionError) or path is None:
        return None
    hint = "Give a file that you may read, in a folder that you may enter."
    return InputError(f"'{path}' cannot be opened: {error.strerror}.", hint=hint)


def _reason(error: BaseException, root: Path | None) -> _Reason | None:
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error, root)
    if not isinstance(error, OSError):
        return None
    if error.errno is None:
        return _FULL if _SHORT_WRITE.search(str(error)) else None
    if error.errno in _ANYWHERE:
        return _ANYWHERE[error.errno]
    if str(error.strerror).startswith(_NO_SCRATCH):
        return _FULL
    path = _path(error)
    is_inside = root is not None and path is not None and (path == root or root in path.parents)
    return _INSIDE.get(error.errno) if is_inside else None


def _of_sqlite(error: sqlite3.Error, root: Path | None) -> _Reason | None:
    """Returns the reason; SQLite says little of what the disk told it, so that is looked at too."""
    reason = _OF_SQLITE.get(getattr(error, "sqlite_errorcode", -1) & 0xFF)
    if reason not in (_READ_ONLY, _BROKEN, _SHAPE) or root is None:
        return reason
    folder = root.parent
    try:
        if root.is_dir():
            return _SHAPE
        if not os.access(folder, os.W_OK) or not os.access(root, os.R_OK):
            return _READ_ONLY if os.statvfs(folder).f_flag & _ST_RDONLY else _FOREIGN
        return _FULL if shutil.disk_usage(folder).free < _LITTLE else reason
    except OSError as found:
        return _INSIDE.get(found.errno or 0, reason)


def _path(error: BaseException) -> Path | None:
    name = error.filename if isinstance(error, OSError) else None
    if isinstance(name, bytes):
        name = name.decode(errors="replace")
    return Path(name) if isinstance(name, str) else None


def _owner(path: Path | None) -> str:
    """Returns the owner of the nearest part of a path that can be seen, if that is not us."""
    for part in () if path is None else (path, *path.parents):
        with suppress(OSError, KeyError, NotImplementedError):
            is_ours = part.stat().st_uid == os.geteuid()
            return "" if is_ours else f"'{part.owner()}'"
    return ""
