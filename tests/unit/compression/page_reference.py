"""An independent reading of the page's table, in plain Python, to hold kernel and page against."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from workbench.compression.page_table import PageTable

_TYPES = {"f4": np.dtype("<f4"), "i2": np.dtype("<i2")}


def arrays_of(table: PageTable) -> dict[str, np.ndarray]:
    found = {}
    for name, place in table.head["arrays"].items():
        count = math.prod(place["shape"])
        flat = np.frombuffer(table.numbers, _TYPES[place["type"]], count, place["offset"])
        found[name] = flat.reshape(place["shape"]).astype(float)
    return found


def score_of(table: PageTable, layers: dict[str, list[dict[str, Any]]]) -> tuple[float, ...]:
    """Returns (value, low, high) for layers with steps that are treatments of the table."""
    head, arrays = table.head, arrays_of(table)
    cells: dict[int, float] = {}
    shares = np.zeros(len(head["order"]))
    moved, deep = 0.0, 0.0
    kinds = set()
    for name, steps in layers.items():
        layer = head["layers"].index(name)
        for index, amount in parts_of(head, steps):
            row = int(arrays["rows"][layer, index])
            cells[row] = cells.get(row, 0.0) + amount
            moved += amount * arrays["lengths"][row]
            deep += amount * arrays["lengths"][row] * layer / (len(head["layers"]) - 1)
        for step in steps:
            shares[head["order"].index(step["kind"])] += arrays["layer_shares"][layer]
        kinds.add(" + ".join(step["kind"] for step in steps))
    steps_of_all = [step["kind"] for steps in layers.values() for step in steps]
    if any(head["methods"][kind]["changes"] for kind in steps_of_all):
        cells[head["common"]] = 1.0
    drop = head["drop"]
    place = [*(shares / drop["length_share"]), deep / moved / drop["length_depth"]]
    return banded(head, arrays, quadratic(arrays, cells), np.array(place), kinds)


def parts_of(head: Any, steps: list[dict[str, Any]]) -> list[tuple[int, float]]:
    for index, entry in enumerate(head["treatments"]):
        if entry["steps"] == steps:
            return [(index, 1.0)]
    amount = next(step["amount"] for step in steps if "amount" in step)
    bare = [{**step, "amount": None} if "amount" in step else step for step in steps]
    ladder = sorted(
        (entry["amount"], index)
        for index, entry in enumerate(head["treatments"])
        if [{**s, "amount": None} if "amount" in s else s for s in entry["steps"]] == bare
    )
    below = max((item for item in ladder if item[0] <= amount), default=None)
    above = min(item for item in ladder if item[0] > amount)
    low = 0.0 if below is None else below[0]
    share = (amount - low) / (above[0] - low)
    if below is not None:
        return [(below[1], 1 - share), (above[1], share)]
    rest = head["treatments"][above[1]]["rest"]
    if not rest:
        return [(above[1], share)]
    start = next(i for i, entry in enumerate(head["treatments"]) if entry["steps"] == rest)
    return [(start, 1 - share), (above[1], share)]


def quadratic(arrays: dict[str, np.ndarray], cells: dict[int, float]) -> float:
    count = len(arrays["lengths"])
    cosines = np.zeros((count, count))
    cosines[np.triu_indices(count)] = arrays["cosines"] / 32767
    full = cosines + np.triu(cosines, 1).T
    gram = full * arrays["lengths"] * arrays["lengths"][:, None]
    weights = np.zeros(count)
    weights[list(cells)] = list(cells.values())
    return max(0.5 * float(weights @ gram @ weights), 1e-30)


def banded(
    head: Any, arrays: dict[str, np.ndarray], score: float, place: np.ndarray, kinds: set[str]
) -> tuple[float, ...]:
    drop, x = head["drop"], math.log(score)
    curve = drop["most"] * -math.expm1(-math.exp(drop["power"] * (x - drop["log_start"])))
    far = ((x - arrays["logs"]) / drop["length_log"]) ** 2
    far = far + ((place - arrays["places"]) ** 2).sum(axis=1)
    kernel = drop["amplitude"] ** 2 * np.exp(-0.5 * far)
    middle = math.asinh(curve / drop["unit"]) + kernel @ arrays["alpha"]
    explained = kernel @ arrays["inverse"] @ kernel
    spread = math.sqrt(max(drop["amplitude"] ** 2 - explained, 0) + drop["noise"] ** 2)
    half = drop["width"] * spread * (drop["strange"] if kinds - set(drop["kinds"]) else 1.0)
    most = drop["most"] * drop["below_chance"]
    drops = [min(drop["unit"] * math.sinh(m), most) for m in (middle, middle + half, middle - half)]
    low, high = head["bounds"]
    return tuple(min(max(head["score"] + head["point"] * d, low), high) for d in drops)
