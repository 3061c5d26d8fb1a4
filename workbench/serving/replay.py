"""A kept request, answered once more in this process: does the model say the same here?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import NotFoundError
from workbench.core.jsonl import line_of, parts
from workbench.data.sources.request_log import kept_array
from workbench.serving.predictions import answered, predictions_of
from workbench.serving.repository import load_source
from workbench.serving.served import Source

_NEAR = 1e-3


@dataclass(frozen=True)
class Replayed:
    """What came of a replay.

    Attributes:
        id: Of the kept request.
        ref: The version that answered then and now.
        then: The answers of the endpoint, a label or value for each sample.
        now: Those of this process.
        largest: The largest difference of a score or value; None if there are no numbers.
        predict_ms: One run of the model here.
    """

    id: str
    ref: str
    then: list[Any]
    now: list[Any]
    largest: float | None
    predict_ms: float

    @property
    def is_same(self) -> bool:
        """Whether labels are equal and numbers within a thousandth."""
        near = self.largest is None or self.largest <= _NEAR
        texts = [(a, b) for a, b in zip(self.then, self.now, strict=True) if isinstance(a, str)]
        return near and len(self.then) == len(self.now) and all(a == b for a, b in texts)

    @property
    def words(self) -> str:
        """The outcome in a sentence."""
        shown = ", ".join(_short(answer) for answer in self.now[:3])
        more = f" and {len(self.now) - 3} more" if len(self.now) > 3 else ""
        if self.is_same:
            return f"{self.ref} answers the same here: {shown}{more} ({self.predict_ms:.2f} ms)."
        before = ", ".join(_short(answer) for answer in self.then[:3])
        return (
            f"{self.ref} answers otherwise here: {shown}{more}; the endpoint said {before}{more}."
        )


def kept_request(folder: Path, id_: str) -> Mapping[str, Any]:
    """Returns the line of a kept request.

    Args:
        folder: Of the payload log.
        id_: As in the request log's `kept`.

    Raises:
        NotFoundError: No such line, any more or yet.
    """
    wanted = f'"id":"{id_}"'.encode()
    for path in reversed(parts(folder)):
        with path.open("rb") as file:
            for text in file:
                line = line_of(text) if wanted in text and text.endswith(b"\n") else None
                if line is not None and line.get("id") == id_:
                    return line
    raise NotFoundError(
        f"No request '{id_}' was kept.",
        hint="It may have been cleared, or be written just now; redacted samples stay redacted.",
    )


def replay(line: Mapping[str, Any], source: Source) -> Replayed:
    """Answers a kept request in this process.

    Args:
        line: Of the payload log.
        source: The verified version that answered it.

    Raises:
        InputError: What was kept does not fit the model, since it was redacted.
    """
    loaded = load_source(source, most_rows=1)
    try:
        if "array" in line:
            inputs = loaded.decoder.from_array(kept_array(line["array"]))
        else:
            inputs = loaded.decoder.from_json(line["rows"])
        began = time.perf_counter()
        outputs = loaded.model.predict(inputs)
        spent = 1e3 * (time.perf_counter() - began)
        answers = predictions_of(outputs, loaded.model.signature, source.description)
    finally:
        loaded.model.close()
    now = [answered(answer) for answer in answers]
    gaps = [
        abs(found - before)
        for found, before in zip(_numbers(answers), _kept_numbers(line), strict=False)
        if found is not None and before is not None
    ]
    ref = f"model:{source.name}@{source.version}"
    return Replayed(line["id"], ref, line["answers"], now, max(gaps, default=None), spent)


def _numbers(answers: list[dict[str, Any]]) -> list[float | None]:
    found = (
        answer["scores"].get(answer["label"])
        if "label" in answer and "scores" in answer
        else answer.get("value")
        for answer in answers
    )
    return [number if isinstance(number, int | float) else None for number in found]


def _kept_numbers(line: Mapping[str, Any]) -> list[float | None]:
    pairs = zip(line["scores"], line["answers"], strict=True)
    return [
        score if score is not None else answer if isinstance(answer, int | float) else None
        for score, answer in pairs
    ]


def _short(answer: Any) -> str:
    return f"{answer:.4g}" if isinstance(answer, float) else str(answer)
