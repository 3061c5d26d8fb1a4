"""How pieces of an answer lie in an HTTP body: lines of JSON, or server-sent events.

Sources: https://html.spec.whatwg.org/multipage/server-sent-events.html, with the ending `[DONE]` of
OpenAI's streams; https://github.com/ndjson/ndjson-spec.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.serving.answer import Headers
from workbench.serving.messages import Request

LINES, EVENTS = b"application/x-ndjson", b"text/event-stream"
_UNBUFFERED: Headers = (
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # or nginx would collect the pieces
)


@dataclass(frozen=True)
class PieceForm:
    """What stands around each piece, which is one line of JSON.

    Attributes:
        headers: Of the response.
        before, after: Around a piece.
        before_error: Before an error that ends the answer, instead of `before`.
        end: Behind the last piece of an answer that is complete.
    """

    headers: Headers
    before: bytes
    after: bytes
    before_error: bytes
    end: bytes

    def piece(self, data: bytes) -> bytes:
        """Returns a piece as it is sent."""
        return self.before + data + self.after

    def error(self, data: bytes) -> bytes:
        """Returns an error as it is sent."""
        return self.before_error + data + self.after


NDJSON = PieceForm(((b"content-type", LINES), *_UNBUFFERED), b"", b"\n", b"", b"")
SSE = PieceForm(
    ((b"content-type", EVENTS + b"; charset=utf-8"), *_UNBUFFERED),
    b"data: ",
    b"\n\n",
    b"event: error\ndata: ",
    b"data: [DONE]\n\n",
)

PLAIN_EVENTS = PieceForm(SSE.headers, SSE.before, SSE.after, SSE.before, b"")
"""As Triton sends them: an error is told by its fields alone, and the end by the body's."""


def form_for(request: Request) -> PieceForm:
    """Returns events for a caller that accepts them, else lines."""
    return SSE if EVENTS in request.headers.get(b"accept", b"").lower() else NDJSON
