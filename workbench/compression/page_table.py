"""The estimator as one message: a small JSON head and numbers; a page computes estimates from it.

`workbench/widgets/static/estimate.js` is the same in JavaScript. The numbers are little-endian
arrays one after another; `head["arrays"]` gives for each its type ("f4", "i2"), shape and byte
offset (a multiple of 4). With L layers, T treatments, C cells, P known points, M methods, R steps
that rank all layers, A amounts:

=================  ==  =============  =========================================================
array              as  shape          what it is
=================  ==  =============  =========================================================
rows               i2  [L, T]         cell of a layer with a treatment, −1 where there is none
lengths            f4  [C]            d: square root of the Gram matrix's diagonal
cosines            i2  [C·(C+1)/2]    its upper triangle by rows: G = d_i·d_j·cosine / 32767
cell_bytes         f4  [C]            what a cell adds to the file
cell_macs          f4  [C]            what it adds to the multiply-accumulates
layer_shares       f4  [L]            of all weights
float_ms, int8_ms  f4  [L]            of each layer in the two totals
crossing           f4  [L]            values that cross if the layer alone changes its format
global_shares      f4  [R, A, L]      what a step that ranks all layers takes from each
logs, alpha        f4  [P]            of the Gaussian process
places             f4  [P, M + 1]     likewise
inverse            f4  [P, P]         likewise
=================  ==  =============  =========================================================

**Cells of a recipe.** Each treated layer has steps. A step with `scope=global` becomes
`scope=layer` with the amount `global_shares` gives for its layer (linear between `amounts`; none
at 0 or less), only where one list of steps holds for all layers; in a list for one layer its
amount stays. Steps that equal a treatment take its cell once. Else they lie between the two
nearest treatments of their `axis`, those that differ in the amount only and are `complete` (0 is
what `rest` alone does), and take 1 − s and s of their cells, s linear in the amount, if these are
no more than `close` apart; above the last, from `nearly_all` on, they take the last. Anything else
only the kernel can say: null. If any step `changes` weights, the cell `common` is taken once.

**Score.** With w the amounts of cells: q = ½ wᵀGw, x = log q; the curve
c = asinh(most·(1 − exp(−exp(power·(x − log_start)))) / unit); the kernel
k_p = amplitude²·exp(−½((x − logs_p)²/length_log² + Σ_m (share_m/length_share − places_pm)²)), where
share_m is the share of all weights that method m (in `order`) treats, and the last of the sum is
the depth over `length_depth`: the mean of l/(L − 1) over the cells, each of a layer l, weighted by
w·d (0 without any); μ = c + k·alpha;
σ² = max(amplitude² − kᵀ·inverse·k, 0) + noise²; half = width·σ, times `strange` if a kind of
treatment (its methods joined by " + ") is not in `kinds`. The drop in points is unit·sinh(μ), its
band unit·sinh(μ ∓ half); value and upper end are at most most·below_chance. The score is the
baseline's plus drop·`point`, within `bounds`; without cells it is the baseline's.

Where the model `has_unseen` layers (they have no cells, as those of an LSTM) and a step for all or
all other layers `changes` weights, the far end of the band is a drop of most·below_chance.

**The rest.** Size: `size_bytes`, plus the cells' bytes, plus `shared_bytes` of each different list
of graph steps, those that are `is_local` left out unless there are no others; ± `size_margin`, or
± `mixed_size_margin` where a layer has several graph steps. MACs: `macs` plus the cells'. Latency:
`float_ms` without int8 layers; `int8_ms` with all; else int8_ms + Σ over float layers of
(float_ms_l − int8_ms_l + price_ms·crossing_l); then times the factor of each method that is
`other`; relative margins `known`, `mixed`, or `unknown` where int8 was not measured or a factor is
missing.

**Recipes that train.** Their neighbours are those of `trained` with the same methods (in the order
of their `turn`) and the largest amount (0 without any) no more than `near` away. The score is the
neighbours' mean ± the larger of `least_reach` and twice their range, not below chance; size and
latency are the mean, 0.7 of it, and 1.4 of it but not above the baseline's. Without neighbours, and
for MACs, they follow from the amount.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.compression import latency_table as latencies
from workbench.compression import score_map
from workbench.compression.drops import BELOW_CHANCE, STRANGE, DropModel
from workbench.compression.latency_table import LatencyTable
from workbench.compression.locate import CLOSE, INT8, NEARLY_ALL, Locator, may_change_latency
from workbench.compression.method import STAGES, GraphMethod, StructureMethod, WeightMethod
from workbench.compression.methods import METHODS
from workbench.compression.ranking import AMOUNTS
from workbench.compression.recipe import Step, parse
from workbench.compression.sensitivity import COMMON, SensitivityTable
from workbench.compression.treatments import (
    Treatment,
    axis_of,
    changes_weights,
    key_of,
)

VERSION = 2
_WHOLE = 32767
_ALIGNED = 4


@dataclass(frozen=True)
class PageTable:
    """See the module's docstring.

    Attributes:
        head: JSON-able.
        numbers: The arrays, one after another.
    """

    head: Mapping[str, Any]
    numbers: bytes


def page_table(
    locator: Locator, drops: DropModel, latency: LatencyTable, facts: Mapping[str, Any]
) -> PageTable:
    """Returns the message.

    Args:
        locator: With the table.
        drops: From scores to drops.
        latency: Of operators.
        facts: Further entries of the head: baseline, margins, words.
    """
    treatments = _treatments(locator.table)
    rankings = _rankings(locator)
    arrays = {
        **_cells(locator, treatments),
        "layer_shares": np.array([locator.layer_shares[name] for name in locator.names]),
        "float_ms": _by_layer(locator, latency.float_layers),
        "int8_ms": _by_layer(locator, latency.int8_layers),
        "crossing": _by_layer(locator, latency.crossing),
        "global_shares": _global_shares(locator, rankings),
        "logs": drops.map.logs,
        "alpha": drops.map.alpha,
        "places": drops.map.places,
        "inverse": drops.map.inverse,
    }
    places, numbers = _packed(arrays)
    head = {
        "version": VERSION,
        "arrays": places,
        "layers": locator.names,
        "methods": {key: _method(key) for key in METHODS if METHODS.info(key).reason is None},
        "order": list(locator.methods),
        "treatments": [_entry(locator, treatment) for treatment in treatments],
        "rankings": rankings,
        "amounts": list(AMOUNTS),
        "common": locator.table.rows.get(COMMON, -1),
        "close": CLOSE,
        "nearly_all": NEARLY_ALL,
        "size_bytes": locator.prober.plain.size,
        "shared_bytes": locator.table.shared_bytes,
        "macs": locator.prober.plain.macs,
        "drop": _drop_head(drops),
        "latency": _latency_head(latency),
        **facts,
    }
    return PageTable(head, numbers)


def _treatments(table: SensitivityTable) -> list[Treatment]:
    keys = dict.fromkeys(key for _, key in table.rows if key != COMMON[1])
    return [parse(key).steps for key in keys]


def _cells(locator: Locator, treatments: Sequence[Treatment]) -> dict[str, np.ndarray]:
    table = locator.table
    rows = [[table.rows.get((name, key_of(t)), -1) for t in treatments] for name in locator.names]
    lengths = np.sqrt(np.maximum(np.diag(table.gram), 0.0)).astype(np.float64)
    safe = np.where(lengths > 0, lengths, 1.0)
    cosines = np.clip(table.gram / safe / safe[:, None], -1, 1)
    upper = np.triu_indices(len(lengths))
    return {
        "rows": np.array(rows, np.int16).reshape(len(locator.names), len(treatments)),
        "lengths": lengths,
        "cosines": np.rint(_WHOLE * cosines[upper]).astype(np.int16),
        "cell_bytes": np.array([fact.bytes for fact in table.facts]),
        "cell_macs": np.array([fact.macs for fact in table.facts]),
    }


def _by_layer(locator: Locator, values: Mapping[str, float]) -> np.ndarray:
    return np.array([values.get(name, 0.0) for name in locator.names])


def _rankings(locator: Locator) -> list[dict[str, Any]]:
    """Returns the steps that rank all layers together, without their amount."""
    found = []
    for key in METHODS:
        plugin = METHODS.get(key) if METHODS.info(key).reason is None else None
        fields = {} if plugin is None else plugin.Config.model_fields
        if isinstance(plugin, WeightMethod) and {"amount", "scope"} <= set(fields):
            config = plugin.Config.parse({"amount": 0.5, "scope": "global"}, what=key)
            found.append(_step(Step(key, config)))
    return found


def _global_shares(locator: Locator, rankings: Sequence[Mapping[str, Any]]) -> np.ndarray:
    found = np.zeros((len(rankings), len(AMOUNTS), len(locator.names)))
    names = tuple(layer.name for layer in locator.prober.subject.layers)
    places = [names.index(name) for name in locator.names]
    for i, ranking in enumerate(rankings):
        step = parse([ranking]).steps[0]
        for j in range(len(AMOUNTS)):
            found[i, j] = locator.ranking.at(step, j, names)[places]
    return found


def _entry(locator: Locator, treatment: Treatment) -> dict[str, Any]:
    axis = axis_of(treatment)
    entry: dict[str, Any] = {"steps": [_step(step) for step in treatment]}
    if axis is not None:
        standard, rest, amount = axis
        ladder = locator.ladders.get(key_of(standard), {})
        entry["axis"] = key_of(standard)
        entry["amount"] = amount
        entry["rest"] = [_step(step) for step in rest]
        entry["complete"] = ladder.get(amount) == treatment
    return entry


def _method(key: str) -> dict[str, Any]:
    method = METHODS.get(key)
    fields = method.Config.model_fields
    return {
        "fields": list(fields),
        "defaults": {n: f.default for n, f in fields.items() if not f.is_required()},
        "trains": method.trains or isinstance(method, StructureMethod),
        "changes": changes_weights((Step(key, method.Config.model_construct()),)),
        "is_graph": method.stage == "graph",
        "turn": STAGES.index(method.stage),
        "is_local": isinstance(method, GraphMethod) and method.is_local,
        "int8": method.produces == INT8,
        "other": may_change_latency(method),
    }


def _step(step: Step) -> dict[str, Any]:
    return {"kind": step.method, **step.config.to_json()}


def _drop_head(drops: DropModel) -> dict[str, Any]:
    return {
        "most": drops.map.most,
        "log_start": drops.map.log_start,
        "power": drops.map.power,
        "amplitude": drops.map.amplitude,
        "noise": drops.map.noise,
        "width": drops.width,
        "length_log": score_map.LENGTH_LOG,
        "length_share": score_map.LENGTH_SHARE,
        "length_depth": score_map.LENGTH_DEPTH,
        "unit": score_map.UNIT,
        "strange": STRANGE,
        "below_chance": BELOW_CHANCE,
        "kinds": sorted(drops.kinds),
    }


def _latency_head(latency: LatencyTable) -> dict[str, Any]:
    return {
        "float_ms": latency.float_ms,
        "int8_ms": latency.int8_ms,
        "price_ms": latency.price_ms,
        "factors": dict(latency.factors),
        "is_split": len(latency.float_layers),
        "margins": latencies.MARGINS,
    }


def _packed(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], bytes]:
    places: dict[str, Any] = {}
    parts: list[bytes] = []
    offset = 0
    for name, value in arrays.items():
        kind = "i2" if value.dtype == np.int16 else "f4"
        data = np.ascontiguousarray(value).astype(f"<{kind}").tobytes()
        places[name] = {"type": kind, "shape": list(value.shape), "offset": offset}
        padded = _ALIGNED * math.ceil(len(data) / _ALIGNED)
        parts.append(data.ljust(padded, b"\0"))
        offset += padded
    return places, b"".join(parts)
