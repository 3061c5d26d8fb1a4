"""What is shown of who answers an endpoint's requests, and of who may ask."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workbench.flow.endpoint import Endpoint
from workbench.flow.workspace import Workspace
from workbench.serving.tokens import Grant
from workbench.serving.traffic import TrafficReport, VersionShare

_OURS = "main"


def traffic(workspace: Workspace, report: TrafficReport) -> dict[str, Any]:
    """Returns the versions to choose from, what was asked for, and what came of it.

    Args:
        workspace: Whose registry may hold further versions of the model.
        report: What the endpoint says.
    """
    served = {row.version: row.alias for row in report.versions}
    models = workspace.store.models
    if report.model in models.names():
        aliases = {number: alias for alias, number in models.aliases(report.model).items()}
        for version in models.versions(report.model):
            served[str(version.number)] = aliases.get(version.number)
    asked = report.traffic.to_json()
    return {
        "model": report.model,
        "choices": [
            {"version": v, "alias": alias} for v, alias in sorted(served.items(), key=_age)
        ],
        "traffic": asked,
        "shadow": _numbered(asked["shadow"], served),
        "is_shared": bool(asked["weights"] or asked["shadow"]),
        "versions": [
            {**vars(row), "shadow": None, "copies": _copies(row)} for row in report.versions
        ],
        "taken_back": None if report.taken_back is None else dict(report.taken_back),
    }


def tokens(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Returns who may ask for what, until when; never a token's text."""
    return [_token(grant) for grant in endpoint.tokens()]


def _age(item: tuple[str, str | None]) -> tuple[int, str]:
    return (int(item[0]), "") if item[0].isdigit() else (0, item[0])


def _numbered(name: str | None, served: Mapping[str, str | None]) -> str:
    """Returns the number of a version that was named by number or alias; "" for none."""
    if name is None or name in served:
        return name or ""
    return next((number for number, alias in served.items() if alias == name), "")


def _copies(row: VersionShare) -> str:
    counted = {what: count for what, count in row.shadow.items() if count}
    words = [f"{count:,} {what}" for what, count in counted.items()]
    if row.max_difference is not None and counted:
        words.append(f"at most {row.max_difference:.2g} apart")
    return ", ".join(words)


def _token(grant: Grant) -> dict[str, Any]:
    limits = grant.limits.model_dump(exclude_none=True)
    words = [", ".join(grant.scopes)]
    if grant.models is not None:
        words.append(f"only {', '.join(grant.models)}")
    if grant.expires is not None:
        words.append(f"until {datetime.fromtimestamp(grant.expires, UTC):%Y-%m-%d %H:%M} UTC")
    words += [f"{name} {limit:g}" for name, limit in limits.items()]
    return {"name": grant.name, "is_ours": grant.name == _OURS, "words": " · ".join(words)}
