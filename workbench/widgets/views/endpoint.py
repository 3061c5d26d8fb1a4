"""What is shown of endpoints: what they serve, how busy they are, how to call them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from workbench.core.errors import WorkbenchError
from workbench.core.optional import is_installed
from workbench.data.dataset import Dataset, open_dataset
from workbench.flow.endpoint import Endpoint
from workbench.flow.workspace import Workspace
from workbench.widgets.views.dataset import name_of

_LINE = re.compile(r"^(workbench_[a-z_]+?)(_bucket|_sum|_count)?\{([^}]*)\} (\S+)$", re.MULTILINE)
_LE = re.compile(r'le="([^"]+)"')


def state(workspace: Workspace, selected: str | None, about: dict[str, Any]) -> dict[str, Any]:
    """Returns the endpoints that run, and what can be started.

    Args:
        workspace: The workspace.
        selected: Ref of the endpoint looked at.
        about: What that endpoint says of its model.
    """
    running = workspace.endpoints()
    chosen = next((e for e in running if e.ref == selected), None)
    servable = [
        {"ref": f"model:{name}@{alias}", "label": f"{name}@{alias}"}
        for name in workspace.store.models.names()
        for alias in workspace.store.models.aliases(name)
    ]
    servable += [{"ref": v.ref, "label": v.ref[6:]} for v in workspace.models()]
    return {
        "reattach": "wb.endpoints()[-1]",
        "rows": [_row(e) for e in running],
        "servable": servable,
        "asked": selected,
        "selected": None if chosen is None else {**_row(chosen), "about": about},
        "has_proxy": is_installed("jupyter_server_proxy"),
    }


def figures(page: str) -> dict[str, Any]:
    """Returns requests, errors and latencies from an endpoint's Prometheus page."""
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    buckets: dict[float, float] = {}
    requests = errors = 0.0
    for name, kind, labels, value in _LINE.findall(page):
        if name == "workbench_requests_total":
            requests += float(value)
            errors += 0 if 'status="2' in labels else float(value)
        elif kind == "_sum":
            sums[name] = sums.get(name, 0.0) + float(value)
        elif kind == "_count":
            counts[name] = counts.get(name, 0.0) + float(value)
        elif kind == "_bucket" and name == "workbench_request_seconds":
            found = _LE.search(labels)
            edge = float(found.group(1)) if found else float("inf")
            buckets[edge] = buckets.get(edge, 0.0) + float(value)
    return {
        "requests": int(requests),
        "errors": int(errors),
        "p50_ms": _quantile(buckets, 0.5),
        "p99_ms": _quantile(buckets, 0.99),
        "seconds": {
            part: sums.get(f"workbench_{part}_seconds", 0.0)
            for part in ("request", "queue", "predict")
        },
    }


def dataset_behind(workspace: Workspace, ref: str) -> Dataset | None:
    """Returns the dataset that the served model was made from, if it is still here."""
    try:
        version = workspace.version(ref)
        artifact = (version.manifest.get("data") or {}).get("artifact")
        return None if artifact is None else open_dataset(workspace.store, artifact)
    except WorkbenchError:
        return None


def random_sample(dataset: Dataset, rng: np.random.Generator) -> tuple[int, Any, str]:
    """Returns a validation sample: its number, its raw input, its target in words."""
    index = int(rng.integers(len(dataset.val)))
    sample = dataset.val[index]
    return index, sample.input, name_of(dataset, sample.target)


def plain_row(row: Any) -> dict[str, Any]:
    """Returns a table's row as JSON-able values."""
    return {str(k): (v.item() if hasattr(v, "item") else v) for k, v in dict(row).items()}


def _row(endpoint: Endpoint) -> dict[str, Any]:
    info = endpoint.info
    return {
        "ref": endpoint.ref,
        "url": endpoint.url,
        "models": endpoint.models,
        "refs": list(info.refs),
        "started": info.started[:19].replace("T", " "),
        "pid": info.pid,
    }


def _quantile(buckets: dict[float, float], share: float) -> float | None:
    """Returns the bucket's upper edge in ms below which `share` of the requests lie."""
    edges = sorted(buckets)
    if not edges or not buckets[edges[-1]]:
        return None
    wanted = share * buckets[edges[-1]]
    edge = next(e for e in edges if buckets[e] >= wanted)
    return None if edge == float("inf") else 1000 * edge
