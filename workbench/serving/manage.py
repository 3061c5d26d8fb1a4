"""What a caller with the scope `manage` may change while the endpoint runs."""

from __future__ import annotations

from typing import Any

from workbench.serving.asker import asker
from workbench.serving.control import TrafficControl
from workbench.serving.json_config import parse_config
from workbench.serving.keys import Change, Keys
from workbench.serving.messages import Request, Response, json_response
from workbench.serving.routes import Route
from workbench.serving.tokens import Grant
from workbench.serving.traffic import Traffic

_TOKENS = "/manage/tokens"
_TRAFFIC = "/manage/traffic/{model}"


def traffic_routes(control: TrafficControl) -> list[Route]:
    """Returns the paths that show, set and clear the traffic of a model."""

    def show(request: Request, answer: Any) -> Response:
        return json_response(control.report(request.params["model"]).to_json())

    async def put(request: Request, answer: Any) -> Response:
        traffic = parse_config(request.body, Traffic, what="the traffic")
        found = await control.set(request.params["model"], traffic, by=asker(request))
        return json_response(found.to_json())

    async def clear(request: Request, answer: Any) -> Response:
        found = await control.set(request.params["model"], None, by=asker(request))
        return json_response(found.to_json())

    return [
        Route("GET", _TRAFFIC, "manage", show, summary="Who answers a model's requests"),
        Route(
            "PUT",
            _TRAFFIC,
            "manage",
            put,
            summary="Share them out: weights, shadow, budget",
            takes=Traffic,
        ),
        Route("DELETE", _TRAFFIC, "manage", clear, summary="Back to the first version"),
    ]


def token_routes(keys: Keys) -> list[Route]:
    """Returns the paths that list, make and revoke tokens."""

    def show(request: Request, answer: Any) -> Response:
        return json_response([grant.to_json() for grant in keys.grants()])

    async def add(request: Request, answer: Any) -> Response:
        grant = parse_config(request.body, Grant, what="the token")
        clear, change = await keys.add(grant, by=asker(request))
        return json_response({**grant.to_json(), "token": clear, **_told(change)}, 201)

    async def revoke(request: Request, answer: Any) -> Response:
        change = await keys.revoke(request.params["name"], by=asker(request))
        return json_response({"revoked": request.params["name"], **_told(change)})

    return [
        Route("GET", _TOKENS, "manage", show, summary="List the tokens"),
        Route("POST", _TOKENS, "manage", add, summary="Make a token", takes=Grant, status=201),
        Route("DELETE", f"{_TOKENS}/{{name}}", "manage", revoke, summary="Revoke one"),
    ]


def _told(change: Change) -> dict[str, Any]:
    """Names the workers that did not confirm a change, and says if the audit log lacks it."""
    told: dict[str, Any] = {"unconfirmed": list(change.late)} if change.late else {}
    return told if change.is_noted else {**told, "audit": "not written; see the endpoint's log"}
