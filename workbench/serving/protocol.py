"""What a dialect is: routes, the form of its errors, and one example request for each model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from workbench.core.errors import WorkbenchError
from workbench.core.plugins import Plugin
from workbench.serving.apart import Apart
from workbench.serving.engine import Tensors
from workbench.serving.follow import Follower
from workbench.serving.loading import ModelControl
from workbench.serving.messages import Response, error_response
from workbench.serving.piece_forms import EVENTS
from workbench.serving.router import Router
from workbench.serving.routes import Route
from workbench.serving.security import Gate
from workbench.serving.served import Served
from workbench.serving.team import Team


@dataclass(frozen=True)
class Endpoint:
    """What a dialect may use of the endpoint it speaks for."""

    router: Router
    gate: Gate
    followers: Sequence[Follower] = ()
    is_draining: Callable[[], bool] = field(default=lambda: False)
    team: Team | None = None
    models: ModelControl | None = None
    apart: Apart = field(default_factory=Apart)


@dataclass(frozen=True)
class Example:
    """A request that a served model answers with status 200."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Dialect(Plugin):
    """One way to talk to the endpoint. Decodes a request into tensors and encodes the outputs.

    Attributes:
        media: Content types of a prediction request.
        piece_media: Content types of answers in pieces.
    """

    media: ClassVar[tuple[str, ...]] = ("application/json",)
    piece_media: ClassVar[tuple[str, ...]] = (EVENTS.decode(),)

    @abstractmethod
    def routes(self, endpoint: Endpoint) -> Sequence[Route]:
        """Returns the paths it answers."""

    def error(self, error: WorkbenchError) -> Response:
        """Returns an error in the form that clients of this dialect read."""
        return error_response(error, self.error_fields(error), self.error_status(error))

    def error_status(self, error: WorkbenchError) -> int:
        """Returns the HTTP status that the dialect has for an error."""
        return error.http_status

    def error_fields(self, error: WorkbenchError) -> dict[str, Any]:
        """Returns what the dialect adds to the error's own fields."""
        return {}

    def request_schema(self, served: Served) -> dict[str, Any]:
        """Returns the JSON schema of a prediction request for `served`; {} is any JSON."""
        return {}

    def response_schema(self, served: Served) -> dict[str, Any]:
        """Returns the JSON schema of the answer to a prediction request."""
        return {}

    @abstractmethod
    def example(self, served: Served, inputs: Tensors) -> Example:
        """Returns a prediction request for `served` with these tensors."""
