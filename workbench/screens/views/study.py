"""What is shown of a study: its points, the methods with their knobs, what sizes are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.compression.method import STAGES
from workbench.compression.methods import METHODS
from workbench.compression.recipe_words import summary
from workbench.exporting.graph import initializers, load_graph
from workbench.flow.study import Study
from workbench.flow.study_table import difference, latency, sentence
from workbench.flow.variant import Variant
from workbench.screens.forms import knobs_of
from workbench.screens.views.version import CHAMPION
from workbench.tasks import is_share


def point(variant: Variant) -> dict[str, Any]:
    """Returns one measured variant as it is drawn and told."""
    measured, change = variant.measured, variant.difference
    return {
        "recipe": variant.recipe,
        "ref": variant.ref,
        "is_baseline": variant.is_baseline,
        "score": variant.score,
        "change": [change.value, change.low, change.high],
        "drop": variant.drop,
        "size_bytes": variant.size_bytes,
        "stored_bytes": variant.stored_bytes,
        "latency_ms": variant.latency_ms,
        "ratio": [
            variant.latency_ratio.value,
            variant.latency_ratio.low,
            variant.latency_ratio.high,
        ],
        "cpu_s": measured.cpu_s_per_1000,
        "energy_j": measured.energy_j_per_1000,
        "difference_words": difference(variant),
        "latency_words": latency(variant),
        "sentence": "This is the model itself." if variant.is_baseline else sentence(variant),
        "notes": list(measured.notes),
    }


def state(study: Study) -> dict[str, Any]:
    """Returns all that is known of a study, for the page."""
    variants = study.variants
    points = sorted((point(v) for v in variants), key=lambda p: -p["size_bytes"])
    baseline = next((v for v in variants if v.is_baseline), None)
    shown = baseline.measured if baseline is not None else None
    return {
        "ref": study.ref,
        "reattach": f'wb.study("{study.ref}")',
        "data": study.data.ref,
        "data_name": study.data.name,
        "model": study.record.config.get("model_ref"),
        "metric": shown.metric if shown else "score",
        "higher_is_better": shown.higher_is_better if shown else True,
        "is_share": bool(shown and is_share(shown.metric)),
        "samples": shown.samples if shown else None,
        "machine": _machine(shown.cpu, shown.threads, shown.batch) if shown else "",
        "points": points,
    }


def registered(study: Study) -> dict[str, dict[str, str]]:
    """Returns by recipe the newest version that was made of a variant, and whether it is promoted.

    A version was made of a variant if it has its file, its recipe and its parent.

    Args:
        study: The study.
    """
    store, found = study.store, dict[str, dict[str, str]]()
    parent = study.record.config.get("model_ref") or study.ref
    files = {v.recipe: store.artifacts.get(v.digest).files for v in study.variants}
    versions = [version for name in store.models.names() for version in store.models.versions(name)]
    for version in sorted(versions, key=lambda v: v.created):
        recipe = str(version.manifest.get("recipe"))
        if version.manifest.get("parent") != parent or files.get(recipe) != version.files:
            continue
        is_champion = store.models.alias(version.name, CHAMPION) == version.number
        found[recipe] = {
            "version": version.ref, **({"promoted": CHAMPION} if is_champion else {})
        }  # fmt: skip
    return found


def methods(is_onnx_only: bool) -> list[dict[str, Any]]:
    """Returns every method with its knobs, in the order in which a recipe goes.

    Args:
        is_onnx_only: Whether the model has no PyTorch module, so that its shape stays.
    """
    rows = [_method(key, is_onnx_only) for key in METHODS]
    return sorted(rows, key=lambda row: STAGES.index(row["stage"]))


def weight_bytes(study: Study) -> int:
    """Returns how many bytes of the baseline's file are weights that methods can make smaller."""
    graph = load_graph(study.baseline.path)
    return sum(value.nbytes for value in initializers(graph).values() if value.ndim > 1)


def search_of(study: Study) -> Any:
    """Returns the study's verb for searching; None where there is none."""
    return getattr(study, "search", None)


def can_search(study: Study) -> bool:
    """Returns whether the study can search by itself."""
    return search_of(study) is not None


def recommended(study: Study, max_drop: float = 0.01) -> Variant:
    """Returns the smallest variant whose drop stays within `max_drop`."""
    return study.smallest(max_drop)


def verdict(study: Study, max_drop: float = 0.01) -> str:
    """Returns one sentence: the recommended version, what it loses and gains, and why."""
    best = recommended(study, max_drop)
    in_percent = is_share(best.metric)
    score = f"{100 * best.score:.1f} %" if in_percent else f"{best.score:.4g}"
    if best.is_baseline:
        return (
            f"Keep the model as it is ({score} {best.metric}): no measured variant within the "
            "limit is smaller."
        )
    figures = (
        f"{score} {best.metric}, {best.size_bytes / 1000:.1f} kB, {best.latency_ms:.3f} ms a call"
    )
    return f"Recommended: {summary(best.recipe)} ({figures}): {sentence(best)}"


def _method(key: str, is_onnx_only: bool) -> dict[str, Any]:
    info, method = METHODS.info(key), METHODS.get(key)
    reason = info.reason
    if reason is None and is_onnx_only and method.stage == "structure":
        reason = "needs the PyTorch module; this model lives as ONNX only"
    return {
        "key": key,
        "summary": method.summary,
        "stage": method.stage,
        "produces": method.produces,
        "accepts": sorted(method.accepts),
        "trains": method.trains or method.stage == "structure",
        "reason": reason,
        "knobs": knobs_of(method.Config),
    }


def _machine(cpu: Mapping[str, Any], threads: int, batch: int) -> str:
    name = cpu.get("name") or cpu.get("machine") or "unknown CPU"
    return f"{name}, {threads} thread{'s' * (threads != 1)}, batch {batch}, median"
