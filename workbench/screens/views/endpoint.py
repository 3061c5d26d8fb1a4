"""What is shown of endpoints: what they serve, how busy they are, how to call them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core.errors import WorkbenchError
from workbench.core.jsonl import line_of, parts
from workbench.core.optional import is_installed
from workbench.data.dataset import Dataset, open_dataset
from workbench.data.modalities import MODALITIES
from workbench.flow.endpoint import Endpoint
from workbench.flow.workspace import Workspace
from workbench.screens.forms import MOST
from workbench.screens.views.dataset import name_of
from workbench.serving.binary import DATATYPES

_LINE = re.compile(r"^(workbench_[a-z_]+?)(_bucket|_sum|_count)?\{([^}]*)\} (\S+)$", re.MULTILINE)
_LE = re.compile(r'le="([^"]+)"')
_WHAT = re.compile(r'what="([^"]+)"')
_VERSION = re.compile(r'version="([^"]+)"')
STAGES = ("decode", "queue", "predict", "encode")
_TAIL_BYTES, _SHOWN = 200_000, 12


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
    newest = sorted(workspace.models(), key=lambda v: v.created, reverse=True)[:MOST]
    servable = [*servable[:MOST], *({"ref": v.ref, "label": v.ref[6:]} for v in newest)]
    return {
        "reattach": "wb.app('serve')" if chosen is None else f'wb.endpoint("{chosen.ref}")',
        "rows": [_row(e) for e in running[-MOST:]],
        "servable": servable,
        "asked": selected,
        "selected": None
        if chosen is None
        else {**_row(chosen), "about": about, "grpc_snippet": grpc_snippet(chosen, about)},
        "has_proxy": is_installed("jupyter_server_proxy"),
    }


def figures(page: str) -> dict[str, Any]:
    """Returns requests, errors, latencies and limits from an endpoint's Prometheus page.

    Looking at pages such as this one, and asking what a model takes, is not counted as a request.
    `seconds` are sums since the start, by stage and for whole requests; `buckets` counts by the
    upper edge in seconds, as text.
    """
    limits: dict[str, float] = {}
    version = ""
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    buckets: dict[float, float] = {}
    requests = errors = 0.0
    for name, kind, labels, value in _LINE.findall(page):
        if name == "workbench_limit":
            limits[_first(_WHAT, labels)] = float(value)
        elif name == "workbench_queue":
            version = _first(_VERSION, labels)
        elif name == "workbench_requests_total" and 'dialect="app"' not in labels:
            is_error = 'status="2' not in labels
            requests += float(value) if is_error or 'model="' in labels else 0
            errors += float(value) if is_error else 0
        elif kind == "_sum":
            sums[name] = sums.get(name, 0.0) + float(value)
        elif kind == "_count":
            counts[name] = counts.get(name, 0.0) + float(value)
        elif kind == "_bucket" and name == "workbench_request_seconds":
            edge = float(_first(_LE, labels) or "inf")
            buckets[edge] = buckets.get(edge, 0.0) + float(value)
    return {
        "requests": int(requests),
        "errors": int(errors),
        "p50_ms": quantile(buckets, 0.5),
        "p99_ms": quantile(buckets, 0.99),
        "buckets": buckets,
        "limits": limits,
        "version": version,
        "seconds": {
            part: sums.get(f"workbench_{part}_seconds", 0.0) for part in ("request", *STAGES)
        },
    }


def between(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Returns percentiles and mean milliseconds by stage of the requests between two figures."""
    buckets = {
        edge: count - before["buckets"].get(edge, 0.0) for edge, count in after["buckets"].items()
    }
    count = after["requests"] - before["requests"]
    split = [
        [part, 1000 * (after["seconds"][part] - before["seconds"][part]) / count]
        for part in STAGES
        if count > 0
    ]
    return {
        "count": count,
        "errors_now": after["errors"] - before["errors"],
        "p50_ms": quantile(buckets, 0.5),
        "p99_ms": quantile(buckets, 0.99),
        "split": split,
    }


def recent(folder: Path, models: Sequence[str], since: str) -> list[dict[str, Any]]:
    """Returns the last lines of the request log for these models, newest first.

    Args:
        folder: Of the log.
        models: Names.
        since: ISO time in UTC; older lines are of another endpoint.
    """
    lines = [line for path in parts(folder)[-2:] for line in _tail(path)]
    rows = [row for line in lines if (row := line_of(line)) is not None]
    found = [row for row in rows if _is_of(row, models, since)]
    return [_request(row) for row in found[: -_SHOWN - 1 : -1]]


def _is_of(row: Mapping[str, Any], models: Sequence[str], since: str) -> bool:
    is_whole = {"time", "method", "dialect", "status", "total_ms"} <= row.keys()
    is_asked = row.get("model") in models and row.get("method") == "POST"
    return is_whole and is_asked and row["time"] >= since


def _request(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "time": row["time"][11:19],
        "what": row["dialect"],
        "version": row.get("version"),
        "status": row["status"],
        "error": row.get("error"),
        "caller": row.get("caller"),
        "rows": row.get("rows"),
        "kept": row.get("kept"),
        "ms": row["total_ms"],
        "split": [[part, row[f"{part}_ms"]] for part in STAGES if f"{part}_ms" in row],
    }


def _tail(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - _TAIL_BYTES))
        return file.read().split(b"\n")[1 if file.tell() > _TAIL_BYTES else 0 :]


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group(1) if found else ""


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


def example_row(dataset: Dataset) -> dict[str, Any]:
    """Returns a row to begin with; nothing if samples are no rows with names."""
    if not MODALITIES.get(dataset.modality).is_row:
        return {}
    row = dataset.val[0].input
    return plain_row(row) if isinstance(row, Mapping) else {}


def plain_row(row: Any) -> dict[str, Any]:
    """Returns a table's row as JSON-able values."""
    return {str(k): (v.item() if hasattr(v, "item") else v) for k, v in dict(row).items()}


def grpc_snippet(endpoint: Endpoint, about: Mapping[str, Any]) -> str:
    """Returns Python that calls the endpoint by Triton's gRPC client; "" if it speaks none."""
    signature = about.get("signature")
    if not endpoint.grpc or signature is None:
        return ""
    trust = ', ssl=True, root_certificates="certificate.pem"' if endpoint.info.certificate else ""
    lines = [
        "import os, numpy as np, tritonclient.grpc as triton",
        f'client = triton.InferenceServerClient("{endpoint.grpc}"{trust})',
        'auth = {"authorization": "Bearer " + os.environ["WORKBENCH_TOKEN"]}',
        "inputs = []",
    ]
    for tensor in signature["inputs"]:
        shape = [dim if isinstance(dim, int) else 1 for dim in tensor["shape"]]
        name, dtype = json.dumps(tensor["name"], ensure_ascii=False), tensor["dtype"]
        made = f'np.full({shape}, b"text", object)'
        made = made if dtype == "str" else f"np.zeros({shape}, np.{dtype})"
        lines += [
            f'inputs.append(triton.InferInput({name}, {shape}, "{DATATYPES[dtype]}"))',
            f"inputs[-1].set_data_from_numpy({made})",
        ]
    model = json.dumps(about["model"], ensure_ascii=False)
    output = json.dumps(signature["outputs"][0]["name"], ensure_ascii=False)
    call = f"client.infer({model}, inputs, headers=auth)"
    return "\n".join([*lines, f"print({call}.as_numpy({output}))"])


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


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Returns the bucket's upper edge in ms below which `share` of the requests lie."""
    edges = sorted(buckets)
    if not edges or not buckets[edges[-1]]:
        return None
    wanted = share * buckets[edges[-1]]
    edge = next(e for e in edges if buckets[e] >= wanted)
    return None if edge == float("inf") else 1000 * edge
