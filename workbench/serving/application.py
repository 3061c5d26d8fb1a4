"""What stands behind the connections, as far as they know it."""

from __future__ import annotations

from typing import Any, Protocol

from workbench.core.errors import WorkbenchError
from workbench.serving.answer import Answer
from workbench.serving.body_room import BodyRoom
from workbench.serving.intake import Intake
from workbench.serving.limits import Limits
from workbench.serving.messages import Request
from workbench.serving.outbox import Outbox
from workbench.serving.places import Places


class Application(Protocol):
    """What stands behind the connections."""

    limits: Limits
    outbox: Outbox
    intake: Intake
    room: BodyRoom
    connections: Places[Any]
    is_draining: bool

    def admit(self, request: Request) -> None:
        """Raises when the head alone shows that the request will be refused."""

    def most_body(self, request: Request) -> int:
        """Returns how many bytes an admitted request may bring."""

    def admit_again(self, request: Request) -> None:
        """Raises when a request with the head of an admitted one will be refused now."""

    def handle(self, answer: Answer, refusal: WorkbenchError | None) -> None:
        """Answers a complete request, now or later; never raises."""
