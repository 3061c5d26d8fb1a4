"""What the CPU can do with 8-bit integers, in words. It changes speed and, without VNNI, scores."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Int8Path = Literal["amx", "vnni", "none", "arm-dot", "unknown"]

_CPUINFO = Path("/proc/cpuinfo")
_WORDS: dict[str, str] = {
    "amx": "int8 runs on AMX tiles",
    "vnni": "int8 runs on VNNI",
    "none": (
        "no VNNI: int8 products are added in 16 bits and can saturate, "
        "so weights are kept to 7 bits (reduce_range)"
    ),
    "arm-dot": "int8 runs on the Arm dot-product instructions",
    "unknown": "the int8 instructions of this CPU could not be read",
}


@dataclass(frozen=True)
class Cpu:
    """The processor that a figure was measured on.

    Attributes:
        name: Its model name.
        cores: Logical cores of the host.
        int8: Which instructions multiply 8-bit integers.
    """

    name: str
    cores: int
    int8: Int8Path

    @property
    def words(self) -> str:
        """What its int8 path means, as a sentence."""
        return _WORDS[self.int8]

    @property
    def saturates(self) -> bool:
        """Whether unsigned × signed 8-bit products can overflow their 16-bit sum."""
        return self.int8 == "none"

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON-able values."""
        return asdict(self)


def describe_cpu(cpuinfo: str | None = None, machine: str | None = None) -> Cpu:
    """Returns this host's CPU.

    Args:
        cpuinfo: Text of `/proc/cpuinfo`; by default this host's, empty where there is none.
        machine: Architecture, as `platform.machine()` gives it; by default this host's.
    """
    text = _read_cpuinfo() if cpuinfo is None else cpuinfo
    machine = platform.machine() if machine is None else machine
    fields = _fields(text)
    name = fields.get("model name") or platform.processor() or machine or "unknown"
    return Cpu(name=name, cores=os.cpu_count() or 1, int8=_int8_path(fields, machine.lower()))


def _read_cpuinfo() -> str:
    try:
        return _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _fields(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), value.strip())
    return found


def _int8_path(fields: dict[str, str], machine: str) -> Int8Path:
    flags = set((fields.get("flags") or fields.get("features") or "").split())
    if "amx_int8" in flags:
        return "amx"
    if flags & {"avx512_vnni", "avx512vnni", "avx_vnni"}:
        return "vnni"
    if "asimddp" in flags or (machine == "arm64" and not flags):
        return "arm-dot"
    if flags and machine in {"x86_64", "amd64", "i686"}:
        return "none"
    return "unknown"
