"""ONNX Runtime: sessions, latency, operator profile, memory, CPU. No torch, no onnx."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.runtime.cpu import Cpu, describe_cpu
    from workbench.runtime.latency import Timing, TimingComparison, measure_interleaved
    from workbench.runtime.memory import PeakMemory, track_peak
    from workbench.runtime.profile import OperatorTime, profile_session
    from workbench.runtime.session import Session, open_session

__all__ = [
    "Cpu",
    "OperatorTime",
    "PeakMemory",
    "Session",
    "Timing",
    "TimingComparison",
    "describe_cpu",
    "measure_interleaved",
    "open_session",
    "profile_session",
    "track_peak",
]

_HOME = {
    "Cpu": "cpu",
    "OperatorTime": "profile",
    "PeakMemory": "memory",
    "Session": "session",
    "Timing": "latency",
    "TimingComparison": "latency",
    "describe_cpu": "cpu",
    "measure_interleaved": "latency",
    "open_session": "session",
    "profile_session": "profile",
    "track_peak": "memory",
}


def __getattr__(name: str) -> Any:
    """Imports a name on first use: an endpoint opens sessions and measures nothing."""
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
