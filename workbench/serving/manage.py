"""What a caller with the scope `manage` may change while the endpoint runs."""

from __future__ import annotations

from typing import Any

from workbench.serving.control import TrafficControl
from workbench.serving.jsonbody import parse_object
from workbench.serving.messages import Request, Response, json_response
from workbench.serving.routes import Route
from workbench.serving.traffic import Traffic

_TRAFFIC = "/manage/traffic/{model}"


def traffic_routes(control: TrafficControl) -> list[Route]:
    """Returns the paths that show, set and clear the traffic of a model."""

    def show(request: Request, answer: Any) -> Response:
        return json_response(control.report(request.params["model"]).to_json())

    async def put(request: Request, answer: Any) -> Response:
        traffic = Traffic.parse(parse_object(request.body), what="the traffic")
        found = await control.set(request.params["model"], traffic, by=actor(request))
        return json_response(found.to_json())

    async def clear(request: Request, answer: Any) -> Response:
        found = await control.set(request.params["model"], None, by=actor(request))
        return json_response(found.to_json())

    return [
        Route("GET", _TRAFFIC, "manage", show, summary="Who answers a model's requests"),
        Route("PUT", _TRAFFIC, "manage", put, summary="Share them out: weights, shadow, budget"),
        Route("DELETE", _TRAFFIC, "manage", clear, summary="Back to the first version"),
    ]


def actor(request: Request) -> str:
    """Returns who asks, as the audit log names callers of an endpoint."""
    return f"token:{request.caller}"
