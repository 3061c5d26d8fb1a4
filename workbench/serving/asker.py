"""Who asks for a change of an endpoint, from where and why, as the audit log keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from workbench.core.reason import check_reason
from workbench.serving.messages import Request

REASON = "workbench-reason"


@dataclass(frozen=True)
class Asker:
    """Who asks, and why.

    Attributes:
        who: With the address and the user that a trusted proxy names.
        why: In their own words; empty if they gave none.
    """

    who: str
    why: str = ""

    def told(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what an audit entry holds, with the reason."""
        return {**data, "reason": self.why} if self.why else dict(data)


ENDPOINT = Asker("endpoint")


def asker(request: Request) -> Asker:
    """Returns who sent a request, and the reason of its header `workbench-reason`.

    Raises:
        InputError: The reason is too long or cannot be printed.
    """
    user = "" if request.user is None else f" ({request.user})"
    where = f" from {request.address}" if request.address else ""
    why = check_reason(unquote(request.header(REASON.encode())))
    return Asker(f"token:{request.caller}{user}{where}", why)


def reason_headers(why: str) -> dict[str, str]:
    """Returns the header of a reason, percent-encoded UTF-8; none for none.

    Raises:
        InputError: The reason is too long or cannot be printed.
    """
    checked = check_reason(why)
    return {REASON: quote(checked, safe=" ")} if checked else {}
