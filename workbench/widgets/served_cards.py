"""Static twins of versions and endpoints."""

from __future__ import annotations

from workbench.flow.endpoint import Endpoint
from workbench.flow.version import ModelVersion
from workbench.tasks import is_share
from workbench.widgets import pictures
from workbench.widgets.cards import Card


def version_card(version: ModelVersion) -> Card:
    """Returns a version: aliases, score, size, where it came from."""
    metrics, manifest = version.metrics, version.manifest
    found = ((k[4:], v) for k, v in metrics.items() if k.startswith("val_"))
    name, score = next(found, ("score", None))
    words = "–" if score is None else f"{100 * score:.1f} %" if is_share(name) else f"{score:.4g}"
    rows = [
        ("aliases", ", ".join(version.aliases) or "none"),
        (name, words),
        ("size", f"{version.size_bytes / 1000:.1f} kB"),
        ("latency", f"{metrics['latency_ms']:.3f} ms" if "latency_ms" in metrics else "–"),
        ("data", str((manifest.get("data") or {}).get("ref") or "–")),
        ("made from", str(manifest.get("parent") or "–")),
        ("recipe", str(manifest.get("recipe") or "baseline")),
        ("manifest", f"{version.digest[:16]}…"),
    ]
    blocks: list[pictures.Picture] = []
    if score is not None and is_share(name):
        blocks = [pictures.bars([(name, score, words)], f"{name}: {words}")]
    return Card(f"{version.name}, version {version.number}", version.ref, blocks, rows)


def _status(endpoint: Endpoint) -> str:
    if failure := endpoint.failure:
        return f"✗ failed: {failure}"
    return "● running" if endpoint.is_running else "■ stopped"


def endpoint_card(endpoint: Endpoint) -> Card:
    """Returns an endpoint: what it serves and whether it runs; never its token or address."""
    rows = [
        ("status", _status(endpoint)),
        ("serves", ", ".join(endpoint.info.refs)),
        ("since", endpoint.info.started[:19].replace("T", " ")),
    ]
    words = (
        f'Call it: wb.endpoint("{endpoint.ref}").predict(inputs), or '
        f"`workbench predict {endpoint.info.id} INPUT`"
    )
    return Card(f"Endpoint {', '.join(endpoint.models)}", endpoint.ref, [], rows, words)
