"""What differs between operating systems: file locks and detached processes. Nothing else asks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn

from workbench.core.files import open_private, private_folder

if sys.platform == "win32":
    import ctypes
    import msvcrt
else:
    import fcntl
    import resource

_PROC = Path("/proc")
_KIB = 1024


class FileLock:
    """A lock on a file. The system frees it when its holder ends, however it ends.

    Only the owner of the file can open it, hence hold it.

    Args:
        path: Made if it is not there; a link is refused.
        is_shared: Whether others may hold it at the same time, if they share it, too.
    """

    def __init__(self, path: Path, *, is_shared: bool = False) -> None:
        self.path = path
        self._is_shared = is_shared
        self._file: IO[bytes] | None = None

    def try_acquire(self) -> bool:
        """Takes the lock if it is free; returns whether it is now held."""
        return self._acquire(blocking=False)

    def acquire(self) -> None:
        """Waits for the lock and takes it."""
        self._acquire(blocking=True)

    def release(self) -> None:
        """Frees the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _acquire(self, *, blocking: bool) -> bool:
        if self._file is not None:
            return True
        private_folder(self.path.parent)
        file = open_private(self.path, "a+b")
        try:
            _lock(file, blocking, self._is_shared)
        except OSError:
            file.close()
            if blocking:
                raise
            return False
        self._file = file
        return True


def is_root() -> bool:
    """Returns whether this process may do anything on a POSIX system."""
    return sys.platform != "win32" and os.geteuid() == 0


def is_read_only(folder: Path) -> bool:
    """Returns whether nothing can be made in a folder that is there: its disk, or its owner."""
    return folder.is_dir() and not os.access(folder, os.W_OK)


def is_locked(path: Path) -> bool:
    """Returns whether somebody holds the lock on `path`; nothing is written for that."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # another user's, who alone could have left it
    with file:
        try:
            _lock(file, blocking=False)
        except OSError:
            return True
    return False


def start_detached(
    command: Sequence[str],
    *,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
    stdin: int = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a process that outlives this one: own session, no terminal, reaped when it ends.

    Args:
        command: Program and arguments; no shell is involved.
        stdout: An open file or `subprocess` constant, likewise `stderr`.
        stderr: See `stdout`.
        stdin: `subprocess.PIPE` to send something first.
        env: Additions to the environment.
    """
    process = subprocess.Popen(
        list(command),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, **(env or {})},
        close_fds=True,
        **_detached(),
    )
    threading.Thread(target=process.wait, daemon=True, name="reaper").start()
    return process


def become(command: Sequence[str]) -> NoReturn:
    """Ends this program and goes on as another one, with the same process id where possible."""
    if sys.platform != "win32":
        os.execv(command[0], list(command))
    sys.exit(subprocess.call(list(command)))


def usable_cores() -> int:
    """Returns how many processors this process may use, at least one."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def open_files(wanted: int) -> int:
    """Lets this process have `wanted` files and sockets open, if it may; returns how many."""
    if sys.platform == "win32":
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):
        return soft
    return raised


def peak_bytes() -> int:
    """Returns the most memory that this process has occupied so far; 0 where that is not told.

    On Linux not `getrusage`: a program started by a large process inherits that one's peak there.
    """
    if sys.platform == "win32":
        return 0
    if not _PROC.is_dir():
        unit = 1 if sys.platform == "darwin" else _KIB
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    lines = (_PROC / "self" / "status").read_text().splitlines()
    return next((int(x.split()[1]) * _KIB for x in lines if x.startswith("VmHWM:")), 0)


def free_bytes() -> int | None:
    """Returns how much memory new work may take without swapping; None where that is not told."""
    try:
        lines = (_PROC / "meminfo").read_text().splitlines()
    except OSError:
        return None
    found = (int(line.split()[1]) * _KIB for line in lines if line.startswith("MemAvailable:"))
    return next(found, None)


def process_start(pid: int) -> str | None:
    """Returns when a process began, in the system's own count; None if it does not run.

    Together with the pid this names one process for good: a pid alone is used again.
    """
    if sys.platform == "win32":
        return _windows_process_start(pid)
    if not _PROC.is_dir():
        found = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return found.stdout.strip() or None
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def sync_folder(path: Path) -> None:
    """Makes a rename within `path` survive a power cut, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _windows_process_start(pid: int) -> str | None:
    if sys.platform == "win32":
        kernel, query = ctypes.windll.kernel32, 0x1000
        handle = kernel.OpenProcess(query, False, pid)
        if not handle:
            return None
        times = [ctypes.c_ulonglong() for _ in range(4)]
        has_times = kernel.GetProcessTimes(handle, *(ctypes.byref(value) for value in times))
        kernel.CloseHandle(handle)
        began, ended = times[0].value, times[1].value
        return str(began) if has_times and not ended else None
    return None


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        return {"creationflags": flags}
    return {"start_new_session": True}


def _lock(file: IO[bytes], blocking: bool, is_shared: bool = False) -> None:
    if sys.platform == "win32":
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if blocking else msvcrt.LK_NBLCK, 1)
    else:
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        fcntl.flock(file.fileno(), kind | (0 if blocking else fcntl.LOCK_NB))
