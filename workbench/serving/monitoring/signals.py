"""Questions to Prometheus about endpoints, in PromQL, shared by alerts and dashboard.

`where` is a list of label matchers, as in `model="digits"`; `window` is a time, as in `5m`.
Source: https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

from __future__ import annotations

STAGES = ("decode", "queue", "predict", "encode")
INSTANCE = "job, instance"
VERSION = f"{INSTANCE}, model, version"


def of(name: str, *matchers: str) -> str:
    """Returns a metric with label matchers; empty ones are left out."""
    inner = ",".join(filter(None, matchers))
    return f"{name}{{{inner}}}" if inner else name


def rate(name: str, window: str, *matchers: str) -> str:
    """Returns how much a counter grows a second."""
    return f"rate({of(name, *matchers)}[{window}])"


def requests(window: str, where: str = "", by: str = VERSION) -> str:
    """Returns answers a second, of requests that reached a model."""
    return f"sum by ({by}) ({rate('workbench_request_seconds_count', window, where)})"


def error_share(window: str, where: str = "", by: str = VERSION) -> str:
    """Returns the share of answers that were the endpoint's own errors, 0 to 1."""
    failures = f"sum by ({by}) ({rate('workbench_failures_total', window, where)})"
    return f"{failures} / {requests(window, where, by)}"


def latency(quantile: float, window: str, where: str = "", by: str = VERSION) -> str:
    """Returns a quantile of the seconds from the complete request to the answer."""
    buckets = rate("workbench_request_seconds_bucket", window, where)
    return f"histogram_quantile({quantile}, sum by ({by}, le) ({buckets}))"


def stage_seconds(stage: str, window: str, where: str = "") -> str:
    """Returns the mean seconds that a stage of the answer takes."""
    name = f"workbench_{stage}_seconds"
    spent = f"sum by ({INSTANCE}, model) ({rate(f'{name}_sum', window, where)})"
    return f"{spent} / sum by ({INSTANCE}, model) ({rate(f'{name}_count', window, where)})"


def batch_rows(window: str, where: str = "") -> str:
    """Returns the mean rows in one run of the model."""
    rows = f"sum by ({VERSION}) ({rate('workbench_batch_rows_sum', window, where)})"
    return f"{rows} / sum by ({VERSION}) ({rate('workbench_batch_rows_count', window, where)})"


def queue_share(where: str = "", where_instance: str = "") -> str:
    """Returns how much of its queue a version uses, 0 to 1; each worker has a queue of its own."""
    limit = of("workbench_limit", 'what="queue"', where_instance)
    workers = of("workbench_workers", 'state="alive"', where_instance)
    room = f"({limit} * on ({INSTANCE}) {workers})"
    return f"{of('workbench_queue', where)} / on ({INSTANCE}) group_left () {room}"


def lost_workers(where: str = "") -> str:
    """Returns how many workers are missing."""
    wanted = of("workbench_workers", 'state="wanted"', where)
    alive = of("workbench_workers", 'state="alive"', where)
    return f"{wanted} - on ({INSTANCE}) {alive}"


def happened(counter: str, window: str) -> str:
    """Returns counters that grew within the window, also those that began to exist in it.

    A counter of events has no series before its first event, and `increase` sees no growth in a
    series that begins at 1.
    """
    grew = f"increase({counter}[{window}]) > 0"
    return f"{grew} or ({counter} > 0 unless {counter} offset {window})"


def gone(window: str) -> str:
    """Returns the models that an endpoint served a window ago and does not now, though it is up."""
    by = f"count by ({INSTANCE}, model)"
    before, now = f"{by} (workbench_ready offset {window})", f"{by} (workbench_ready)"
    return f"{before} unless {now} and on ({INSTANCE}) up == 1"
