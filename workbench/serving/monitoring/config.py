"""When an operator wants to hear of an endpoint."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from workbench.core.config import Config

Duration = Annotated[str, Field(pattern=r"^[1-9]\d*(ms|s|m|h|d)$")]


class MonitorConfig(Config):
    """Limits of the alerts, and how often is looked."""

    error_share: float = Field(
        0.01, gt=0, lt=1, description="Share of answers that are the endpoint's own errors"
    )
    latency_ms: float = Field(
        250, gt=0, lt=10_000, description="99 of 100 answers must be faster, in milliseconds"
    )
    queue_share: float = Field(0.8, gt=0, le=1, description="Share of the queue's limit in use")
    memory_growth: float = Field(0.5, gt=0, description="Growth of memory, as a share of it")
    memory_over: Duration = Field("6h", description="Time over which memory may not grow so much")
    min_requests: float = Field(
        20, ge=0, description="Fewest requests in the window for a judgment of errors and latency"
    )
    window: Duration = Field("5m", description="Time over which shares and latencies are taken")
    hold: Duration = Field("2m", description="How long a state must last before it is told")
    interval: Duration = Field("15s", description="Time between two looks at an endpoint")
    job: str = Field(
        "workbench",
        pattern="^[A-Za-z0-9_-]+$",
        description="What the names of Prometheus' jobs begin with",
    )
