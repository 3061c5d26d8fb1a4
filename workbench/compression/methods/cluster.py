"""Weight sharing: each layer's weights become indices into a small codebook, found by k-means.

Lloyd's iterations from the optimum of coarse groups (Han et al. 2016, Deep Compression,
arXiv:1510.00149, §3). The file holds the indices, in 4 bits for up to 16 entries and else in 8,
beside the codebook, joined by Gather; ONNX Runtime does that once, when it loads the file, so the
network then runs on the same operators and in the same time. Weights that were pruned stay zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from workbench.compression.method import Edited, GraphMethod
from workbench.core import optional
from workbench.core.config import Config
from workbench.core.errors import UnsupportedError
from workbench.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from workbench.compression import edit
    from workbench.compression.edit import Editor
    from workbench.compression.subject import Layer, Subject
    from workbench.compression.tools import Tools
else:
    np = lazy("numpy")
    edit = lazy("workbench.compression.edit")

_FOR = "clustering weights"
_MOST_IN_4_BITS = 16
_ITERATIONS = 300
_BINS, _LEAST_GROUPS = 4096, 256
_INT32 = 6
_NOTE = "indices and codebook are widened when the file is loaded: smaller, not faster"


class ClusterConfig(Config):
    """Options of `cluster`."""

    entries: int = Field(
        16, ge=2, le=256, description="Codebook entries of a layer; up to 16 need 4 bits a weight"
    )


class Cluster(GraphMethod):
    """See the module's docstring."""

    summary = "weights as 4- or 8-bit indices into a codebook; an eighth of the bytes, no time"
    requires = ("onnx", "ml_dtypes")
    produces = "codebook"
    is_local = True
    Config = ClusterConfig

    def supports(self, subject: Subject, config: ClusterConfig) -> str | None:
        """Needs a layer whose weight is one constant of the graph."""
        return edit.why_no_weights(subject)

    def change_graph(
        self, subject: Subject, layers: tuple[Layer, ...], config: ClusterConfig, tools: Tools
    ) -> Edited:
        """Stores the weights of `layers` as indices and codebook, where that is smaller."""
        graph, dtype, notes = _index_type(subject.graph, config.entries)
        editor = edit.Editor(graph)
        names = dict.fromkeys(layer.initializer for layer in layers if layer.initializer)
        kept = [layer.name for layer in layers if not layer.initializer]
        for name in names:
            tools.context.check()
            if not _store(editor, name, config.entries, dtype):
                kept.append(next(layer.name for layer in layers if layer.initializer == name))
        if len(kept) >= len({layer.initializer or layer.name for layer in layers}):
            raise UnsupportedError(
                f"cluster:{config.entries} makes no layer smaller.",
                hint="Indices and codebook take more bytes than such small layers; try 'half'.",
            )
        if kept:
            notes.append(f"cluster leaves {', '.join(kept)}: too small to gain, or no constant")
        return Edited(editor.graph, (*notes, _NOTE))


def codebook_of(value: np.ndarray, entries: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (codebook float32 [≤ entries], indices uint8 in the shape of `value`).

    Args:
        value: Weights, float32.
        entries: Codebook entries; one of them is exactly 0 where a like share of weights is 0.
    """
    flat = np.sort(value.ravel().astype(np.float64))
    has_zero = int((flat == 0).sum()) * entries >= flat.size
    distinct = np.unique(flat)
    if len(distinct) > entries:
        part = flat[flat != 0] if has_zero else flat
        distinct = _lloyd(part, entries - has_zero)
        distinct = np.unique(np.append(distinct, 0.0)) if has_zero else distinct
    codebook = distinct.astype(np.float32)
    return codebook, _nearest(codebook, value).astype(np.uint8)


def _lloyd(ordered: np.ndarray, entries: int) -> np.ndarray:
    """Returns the entries after Lloyd's iterations over sorted values [N]; those not used go."""
    centers = _start(ordered, entries)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(_ITERATIONS):
        cuts = np.searchsorted(ordered, (centers[1:] + centers[:-1]) / 2)
        edges = np.concatenate([[0], cuts, [len(ordered)]])
        counts = np.diff(edges)
        fresh = np.where(counts, np.diff(sums[edges]) / np.maximum(counts, 1), centers)
        if np.array_equal(fresh, centers):
            break
        centers = fresh
    return centers[counts > 0]


def _start(ordered: np.ndarray, entries: int) -> np.ndarray:
    """Returns the best entries for the values in some hundred groups of neighbours, exactly.

    Dynamic programming over the groups (Wang and Song 2011, Ckmeans.1d.dp).
    """
    edges = _groups(ordered, max(_LEAST_GROUPS, 4 * entries))
    first, second = (np.append(0.0, np.cumsum(ordered**power))[edges] for power in (1, 2))
    count = np.subtract.outer(edges, edges).T.astype(np.float64)
    total = np.subtract.outer(first, first).T
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.subtract.outer(second, second).T - total**2 / count
    error = np.where(count > 0, np.maximum(error, 0.0), np.where(count == 0, 0.0, np.inf))
    best, cuts = error[0], []
    for _ in range(entries - 1):
        reached = best[:, None] + error
        cuts.append(reached.argmin(axis=0))
        best = reached.min(axis=0)
    chosen = [len(edges) - 1]
    for cut in reversed(cuts):
        chosen.append(int(cut[chosen[-1]]))
    bounds = np.unique([0, *chosen])
    return np.asarray(np.diff(first[bounds]) / np.diff(edges[bounds]))


def _groups(ordered: np.ndarray, most: int) -> np.ndarray:
    """Returns where groups of like values start, and the end; finer where values are sparse."""
    if len(ordered) <= most:
        return np.arange(len(ordered) + 1)
    counts, edges = np.histogram(ordered, bins=_BINS)
    density = np.append(0.0, np.cumsum(np.cbrt(counts)))
    places = np.interp(np.linspace(0, density[-1], most + 1), density, edges)
    return np.unique([0, *np.searchsorted(ordered, places[1:-1]), len(ordered)])


def _nearest(codebook: np.ndarray, value: np.ndarray) -> np.ndarray:
    return np.searchsorted((codebook[1:] + codebook[:-1]) / 2, value)


def _index_type(
    graph: onnx.ModelProto, entries: int
) -> tuple[onnx.ModelProto, np.dtype, list[str]]:
    if entries > _MOST_IN_4_BITS:
        return graph, np.dtype(np.uint8), []
    newer = edit.with_int4(graph)
    if newer is None:
        note = "indices take 8 bits: the file's version of ONNX has no 4-bit integers"
        return graph, np.dtype(np.uint8), [note]
    return newer, np.dtype(optional.require("ml_dtypes", for_=_FOR).uint4), []


def _store(editor: Editor, name: str, entries: int, dtype: np.dtype) -> int:
    codebook, indices = codebook_of(editor.value(name), entries)
    values = [
        editor.tensor(f"{name}.k", indices.astype(dtype)),
        editor.tensor(f"{name}.c", codebook),
    ]
    nodes = [
        editor.make("Cast", [f"{name}.k"], f"{name}.j", to=_INT32),
        editor.make("Gather", [f"{name}.c", f"{name}.j"], name),
    ]
    return editor.compute_constant(name, values, nodes)


PLUGIN = Cluster()
