"""Real disks for tests: full and read-only ones, in a mount namespace of a child process."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILL = (
    "import os, sys\n"
    "handle = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)\n"
    "for size in (65536, 4096, 1):\n"
    "    try:\n"
    "        while True: os.write(handle, b'x' * size)\n"
    "    except OSError: pass\n"
)
# In the shell, $HERE is the folder with the workspace; $DISK is where a disk is mounted.
FULL = (
    'mount -t tmpfs -o size=6m tmpfs "$DISK"; cp -a "$HERE/.workbench" "$DISK/"; '
    '"$PYTHON" -c "$FILL" "$DISK/fill"'
)
READ_ONLY = 'mount --bind "$HERE" "$DISK"; mount -o remount,ro,bind "$DISK"'


@functools.cache
def why_no_mounts() -> str | None:
    """Returns why nothing can be mounted here; None if it can."""
    if sys.platform != "linux" or os.geteuid():
        return "mounting needs root on Linux"
    probe = ["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=64k tmpfs /mnt"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return f"nothing can be mounted: {done.stderr.strip()}" if done.returncode else None


def run_on(
    mounting: str, here: Path, command: list[str], **env: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command where a disk is mounted; `{disk}` in it is the folder of that disk.

    Args:
        mounting: Shell commands: `FULL`, `READ_ONLY`, or others.
        here: The folder with `.workbench`.
        command: Program and arguments.
        env: Additions to the environment.
    """
    if (reason := why_no_mounts()) is not None:
        pytest.skip(reason)
    disk = here.parent / f"{here.name}-disk"
    disk.mkdir(exist_ok=True)
    script = f'set -e; {mounting}; exec "$@"'
    return subprocess.run(
        [
            "unshare",
            "-m",
            "bash",
            "-c",
            script,
            "bash",
            *(w.replace("{disk}", str(disk)) for w in command),
        ],
        env={
            **os.environ,
            **{"HERE": str(here), "DISK": str(disk), "PYTHON": sys.executable, "FILL": FILL},
            **{"OMP_NUM_THREADS": "1", "WORKBENCH_HOME": f"{disk}/.workbench", **env},
        },
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
