"""What is shown of registered versions: the table, one version's lineage, files and audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.compression.recipe_words import summary
from workbench.core.errors import WorkbenchError
from workbench.flow.version import ModelVersion
from workbench.flow.workspace import Workspace
from workbench.screens.forms import MOST
from workbench.store.audit import AuditEntry
from workbench.tasks import TASKS, is_share, primary_metric

CHAMPION = "champion"
_MOST_AUDIT = 12


def state(workspace: Workspace, name: str | None, selected: str | None) -> dict[str, Any]:
    """Returns versions (of one model or of all), and the selected one in detail.

    Those are the newest and what an alias points at; `more` counts the others.

    Args:
        workspace: The workspace.
        name: Only this model.
        selected: Ref of the version looked at; by default the newest.
    """
    versions = versions_of(workspace, name)
    chosen = next((v for v in versions if v.ref == selected), versions[0] if versions else None)
    shown = [v for i, v in enumerate(versions) if i < MOST or v.aliases][: 2 * MOST]
    return {
        "name": name,
        "reattach": "wb.app('models')" if chosen is None else f'wb.version("{chosen.ref}")',
        "rows": [row(v) for v in shown],
        "more": len(versions) - len(shown),
        "selected": None if chosen is None else detail(workspace, chosen, versions),
    }


def versions_of(workspace: Workspace, name: str | None) -> list[ModelVersion]:
    """Returns the versions of one model, or of all, newest first."""
    found = [v for v in workspace.models() if name is None or v.name == name]
    return sorted(found, key=lambda v: v.created, reverse=True)


def row(version: ModelVersion) -> dict[str, Any]:
    """Returns a version as a line of the table."""
    metrics = version.metrics
    metric, score = _score(metrics, version.manifest.get("description") or {})
    return {
        "ref": version.ref,
        "name": version.name,
        "number": version.number,
        "aliases": version.aliases,
        "metric": metric,
        "score": score,
        "is_share": metric is not None and is_share(metric),
        "size_bytes": version.size_bytes,
        "latency_ms": metrics.get("latency_ms"),
        "recipe": summary(version.manifest.get("recipe") or ""),
        "created": version.created,
    }


def _score(
    metrics: Mapping[str, float], about: Mapping[str, Any]
) -> tuple[str | None, float | None]:
    """Returns name and value of the score to show: the task's first metric if it is there."""
    scores = {k[4:]: v for k, v in metrics.items() if k.startswith("val_") and k != "val_loss"}
    task = str(about.get("task"))
    first = primary_metric(task, about.get("labels") or ()) if task in TASKS else None
    name = min(scores, key=lambda name: (name != first, name), default=None)
    return name, scores.get(name) if name is not None else None


def detail(
    workspace: Workspace, version: ModelVersion, versions: list[ModelVersion]
) -> dict[str, Any]:
    """Returns one version beside its champion, with lineage, files, history and audit."""
    models = workspace.store.models
    pointing = models.aliases(version.name)
    champion = next((v for v in versions if v.name == version.name and CHAMPION in v.aliases), None)
    manifest = version.manifest
    return {
        **row(version),
        "digest": version.digest,
        "pointing": pointing,
        "champion": None if champion is None else row(champion),
        "lineage": _lineage(workspace, version),
        "files": [
            {"name": name, "digest": blob["digest"], "size_bytes": blob["size_bytes"]}
            for name, blob in manifest["files"].items()
        ],
        "card": _card(manifest),
        "environment": dict((manifest.get("environment") or {}).get("libraries") or {}),
        "earlier": {a: _earlier(workspace, version.name, a, n) for a, n in pointing.items()},
        "audit": _audit(workspace, version.name),
    }


def _earlier(workspace: Workspace, name: str, alias: str, current: int) -> int | None:
    """Returns the version that a rollback would go back to, as far as the history tells."""
    moves = workspace.store.models.history(name, alias)
    past = [m.number for m in moves if not m.is_revoked and m.number != current]
    return past[-1] if past else None


def _lineage(workspace: Workspace, version: ModelVersion) -> list[list[str]]:
    manifest = version.manifest
    data = manifest.get("data") or {}
    steps = [
        ["data", str(data.get("ref") or "–")],
        ["run", str(manifest.get("parent") or "–")],
        ["recipe", summary(manifest.get("recipe") or "")],
        ["version", version.ref],
    ]
    names = {version.ref, *(f"model:{version.name}@{a}" for a in version.aliases)}
    serving = [e.ref for e in workspace.endpoints() if names & set(e.info.refs)]
    return [*steps, ["endpoint", ", ".join(serving) or "not served now"]]


def _card(manifest: Mapping[str, Any]) -> list[list[str]]:
    """Returns what the manifest says of use and making, as names with words."""
    about = manifest.get("description") or {}
    signature = about.get("signature") or {}
    labels, metrics = about.get("labels") or [], manifest.get("metrics") or {}
    energy = manifest.get("energy") or {}
    seconds = energy.get("cpu_seconds")
    rows = [
        ["task", about.get("task") or None],
        ["takes", about.get("modality") or "tensors"],
        ["labels", f"{len(labels)}: {', '.join(map(str, labels[:8]))}" if labels else None],
        *(
            [
                ["tensor " + t["name"], f"{t['dtype']} {'×'.join(map(str, t['shape']))}"]
                for t in _tensors(signature)
            ]
        ),
        *[[name, _figure(value)] for name, value in sorted(metrics.items())],
        ["training", None if seconds is None else f"{seconds:.1f} CPU-s"],
        ["energy", _energy(energy)],
        ["seed", manifest.get("seed")],
        ["notebook", manifest.get("notebook_sha256")],
    ]
    return [[name, str(value)] for name, value in rows if value is not None]


def _energy(energy: Mapping[str, Any]) -> str | None:
    joules = energy.get("energy_j")
    return energy.get("method") if joules is None else f"{joules:.4g} J ({energy['method']})"


def _tensors(signature: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*signature.get("inputs", ()), *signature.get("outputs", ())]


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _audit(workspace: Workspace, name: str) -> list[list[str]]:
    try:
        entries = [e for e in workspace.store.audit.entries() if name in str(e.subject)]
    except WorkbenchError:
        return []
    return [
        [e.time[:19].replace("T", " "), _deed(e), str(e.subject)] for e in entries[-_MOST_AUDIT:]
    ][::-1]


def _deed(entry: AuditEntry) -> str:
    """Returns what was done, and why if that was told."""
    why = entry.data.get("reason")
    return f"{entry.action}: {why}" if why else entry.action
