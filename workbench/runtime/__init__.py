"""ONNX Runtime: sessions, latency, operator profile, memory, CPU. No torch, no onnx."""

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
