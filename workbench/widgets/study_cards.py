"""Static twins of studies and variants."""

from __future__ import annotations

from workbench.compression.recipe_words import by_layer, summary
from workbench.flow.study import Study
from workbench.flow.study_table import difference, latency, sentence
from workbench.flow.variant import Variant
from workbench.screens.views.study import recommended, verdict
from workbench.tasks import is_share
from workbench.widgets import pictures
from workbench.widgets.cards import Card


def study_card(study: Study) -> Card:
    """Returns a study: every point over size, the front, the recommended one ringed."""
    variants = study.variants
    baseline = next((v for v in variants if v.is_baseline), None)
    if baseline is None:
        return Card("Study", study.ref, [], [("variants", "none measured yet")])
    best = recommended(study)
    rows = [
        ("data", study.data.ref),
        ("measured", f"{len(variants)} variants on {baseline.measured.samples:,} samples"),
        ("baseline", _figures(baseline)),
        ("recommended", f"{summary(best.recipe)}: {_figures(best)}"),
    ]
    return Card("Compression study", study.ref, [_plot(study, best)], rows, verdict(study))


def variant_card(variant: Variant) -> Card:
    """Returns a variant's figures beside the baseline's."""
    rows = [
        (variant.metric, f"{_score(variant)} ({difference(variant)})"),
        (
            "size",
            f"{variant.size_bytes / 1000:.1f} kB, {variant.stored_bytes / 1000:.1f} kB after zstd",
        ),
        ("latency", f"{variant.latency_ms:.3f} ms ({latency(variant)})"),
        *by_layer(variant.recipe),
    ]
    words = "" if variant.is_baseline else sentence(variant)
    return Card(summary(variant.recipe), variant.ref, [_beside_baseline(variant)], rows, words)


def _beside_baseline(variant: Variant) -> pictures.Drawing:
    """Returns the latency as a bar, the baseline's above it."""
    ratio = variant.latency_ratio.value
    longest = max(1.0, ratio)
    rows = [
        ("baseline", 1 / longest, f"{variant.latency_ms / ratio:.3f} ms"),
        ("this", ratio / longest, f"{variant.latency_ms:.3f} ms"),
    ]
    return pictures.bars(rows, f"latency of {summary(variant.recipe)} beside the baseline's")


def _plot(study: Study, best: Variant) -> pictures.Drawing:
    variants = study.variants
    factor = 100.0 if is_share(best.metric) else 1.0
    scores = [factor * v.score for v in variants]
    sizes = [v.size_bytes / 1000 for v in variants]
    pad = 0.08 * ((max(scores) - min(scores)) or 1)
    frame = pictures.Frame((0, 1.05 * max(sizes)), (min(scores) - pad, max(scores) + pad), 480, 260)

    def place(v: Variant) -> tuple[float, float]:
        return v.size_bytes / 1000, factor * v.score

    parts: list[pictures.Mark] = [pictures.steps(frame, [place(v) for v in study.front()])]
    for v in variants:
        shape = "diamond" if v.is_baseline else "circle"
        parts.append(
            pictures.dot(frame, place(v), f"{summary(v.recipe)}: {_figures(v)}", shape=shape)
        )
    parts.append(pictures.dot(frame, place(best), "recommended", shape="ring"))
    unit = f"{best.metric} (%)" if factor > 1 else best.metric
    label = f"{best.metric} over size"
    caption = f"{label}: diamond = baseline, dots = measured, ring = recommended"
    return pictures.picture(frame, label, parts, ("size (kB)", unit), caption)


def _figures(variant: Variant) -> str:
    return f"{_score(variant)}, {variant.size_bytes / 1000:.1f} kB, {variant.latency_ms:.3f} ms"


def _score(variant: Variant) -> str:
    if is_share(variant.metric):
        return f"{100 * variant.score:.1f} %"
    return f"{variant.score:.4g}"
