"""Names in the scratch folder: each tells the process it belongs to, so that gc knows the dead."""

from __future__ import annotations

import functools
import os
import platform
import re
import secrets
from typing import Literal

from workbench.core.host import process_start
from workbench.core.ids import digest_bytes

Owner = Literal["alive", "ended", "elsewhere", "unknown"]
_TAG = 8
_NAME = re.compile(r"([0-9a-f]{8})-(\d+)-([0-9a-f]{8})-")


def scratch_prefix() -> str:
    """Returns how the names of this process's scratch files begin."""
    pid = os.getpid()
    return f"{_host()}-{pid}-{_started(pid)}-"


def scratch_name(suffix: str = "") -> str:
    """Returns a new name for a scratch file."""
    return f"{scratch_prefix()}{secrets.token_hex(8)}{suffix}"


def owner_of(name: str) -> Owner:
    """Returns what is known of the process that a scratch file belongs to."""
    found = _NAME.match(name)
    if found is None:
        return "unknown"
    if found[1] != _host():
        return "elsewhere"
    start = process_start(int(found[2]))
    return "alive" if start is not None and _tag(start) == found[3] else "ended"


@functools.cache
def _host() -> str:
    return _tag(platform.node())


@functools.lru_cache(maxsize=2)  # by pid, since a fork is another process
def _started(pid: int) -> str:
    return _tag(process_start(pid) or "")


def _tag(text: str) -> str:
    return digest_bytes(text.encode())[:_TAG]
