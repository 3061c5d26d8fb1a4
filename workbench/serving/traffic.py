"""How the requests for one name are shared out among its versions, as plain values.

Knows neither models nor requests; `splitting`, `budget` and `shadow` act on it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator, model_validator

from workbench.core.config import Config
from workbench.core.errors import InputError
from workbench.core.refs import check_name

CALLER = "caller"
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,64}")


class Budget(Config):
    """What a version may spend before it is taken back by itself."""

    errors: float | None = Field(
        None, ge=0, lt=1, description="Largest share of answers that are the endpoint's own errors"
    )
    latency_ms: float | None = Field(
        None,
        gt=0,
        description="An answer that takes longer, its wait in the queue and requests of more than "
        "one batch's rows left aside, counts as slow",
    )
    slow: float = Field(0.05, ge=0, lt=1, description="Largest share of slow answers")
    window_s: float = Field(60.0, ge=1, le=3600, description="Only the last so many seconds count")
    requests: int = Field(
        50, ge=1, description="Fewest runs of the model in the window for a judgment"
    )
    callers: float = Field(
        1 / 3,
        ge=0,
        le=1,
        description="Least share of the callers that must have met it; of several, at least two. "
        "Where only one calls, `requests` alone decides",
    )
    one_caller: float = Field(
        0.5, gt=0, le=1, description="Largest share of the requests that one of several counts for"
    )

    @model_validator(mode="after")
    def _has_a_limit(self) -> Budget:
        if self.errors is None and self.latency_ms is None:
            raise ValueError("a budget needs errors, latency_ms or both")
        return self


class Traffic(Config):
    """Who answers the requests that name a model but no version.

    A version is named by its alias or its number, as in `{"champion": 90, "canary": 10}`. Weights
    count relative to each other; without any, the version that was served first answers all.
    """

    weights: dict[str, float] = Field(
        default_factory=dict, description="Share of each version, by alias or number"
    )
    sticky: str | None = Field(
        None, description="Header whose value keeps a caller on one version; 'caller': the token"
    )
    shadow: str | None = Field(
        None, description="Version that gets copies of requests; its answers are only compared"
    )
    shadow_share: float = Field(1.0, gt=0, le=1, description="Share of requests that are copied")
    budget: Budget | None = Field(None, description="Takes a version back when it is overspent")

    @field_validator("weights")
    @classmethod
    def _weights(cls, value: dict[str, float]) -> dict[str, float]:
        bad = [f"{name} = {w:g}" for name, w in value.items() if not 0 <= w < math.inf]
        if bad:
            raise ValueError(f"weights are 0 or more, not {', '.join(bad)}")
        if value and not sum(value.values()):
            raise ValueError("at least one weight must be above 0")
        return {_selector(name): weight for name, weight in value.items()}

    @field_validator("sticky")
    @classmethod
    def _sticky(cls, value: str | None) -> str | None:
        if value is not None and not _HEADER.fullmatch(value.lower()):
            raise ValueError("the name of a header, or 'caller', would be right")
        return value and value.lower()

    @field_validator("shadow")
    @classmethod
    def _shadow(cls, value: str | None) -> str | None:
        return value and _selector(value)

    @model_validator(mode="after")
    def _shadow_only_watches(self) -> Traffic:
        if self.shadow is not None and self.weights.get(self.shadow):
            raise ValueError(f"'{self.shadow}' cannot be the shadow and answer a share as well")
        return self

    def selectors(self) -> list[str]:
        """Returns every version it needs to be served."""
        return [name for name, weight in self.weights.items() if weight] + (
            [self.shadow] if self.shadow else []
        )

    def without(self, selectors: set[str]) -> Traffic:
        """Returns the same with nothing sent to some versions."""
        weights = {name: w for name, w in self.weights.items() if name not in selectors}
        if not sum(weights.values()):
            weights = {}
        shadow = None if self.shadow in selectors else self.shadow
        return self.model_copy(update={"weights": weights, "shadow": shadow})


@dataclass(frozen=True)
class VersionShare:
    """What one version gets and did.

    Attributes:
        version: Its number.
        alias: The alias it is served by, if any.
        share: Of the requests that name no version, 0 to 1.
        requests: Answered since the start, by this worker's count.
        errors: Of those, answered by 5xx.
        shadow: As a shadow: copies by outcome (agreed, differed, failed, dropped).
        max_difference: Largest absolute difference between its outputs and those answered.
    """

    version: str
    alias: str | None
    share: float
    requests: int
    errors: int
    shadow: Mapping[str, int]
    max_difference: float | None


@dataclass(frozen=True)
class TrafficReport:
    """The traffic of one model now.

    Attributes:
        model: Its name.
        traffic: What was asked for; a version that was taken back is no longer in it.
        versions: Those served under the name.
        taken_back: The last version taken back by itself: version, reason, time; or None.
    """

    model: str
    traffic: Traffic
    versions: tuple[VersionShare, ...]
    taken_back: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON-able values."""
        return {
            "model": self.model,
            "traffic": self.traffic.to_json(),
            "versions": [{**vars(row), "shadow": dict(row.shadow)} for row in self.versions],
            "taken_back": None if self.taken_back is None else dict(self.taken_back),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrafficReport:
        """Returns what `to_json` wrote."""
        return cls(
            str(data["model"]),
            Traffic.parse(data["traffic"], what="the traffic"),
            tuple(VersionShare(**row) for row in data["versions"]),
            data["taken_back"],
        )


def parse_weights(text: str) -> dict[str, float]:
    """Returns weights written as "champion=90,canary=10".

    Raises:
        InputError: A part is no version with a number.
    """
    found: dict[str, float] = {}
    problems: list[str] = []
    for part in filter(None, (item.strip() for item in text.split(","))):
        name, _, weight = part.partition("=")
        try:
            found[name.strip()] = float(weight)
        except ValueError:
            problems.append(f"{part}: VERSION=WEIGHT would be right")
    if problems or not found:
        raise InputError(
            f"Got the weights '{text}'.", problems=problems, hint="As in champion=90,canary=10."
        )
    return found


def _selector(name: str) -> str:
    try:
        return check_name(name, what="a version or alias")
    except InputError as error:
        raise ValueError(error.message) from error
