"""Errors as gRPC tells them: a status code, the words, and trailing metadata for programs.

Sources: https://grpc.io/docs/guides/status-codes/ and, for the time to wait before the next
attempt, gRFC A6 (`grpc-retry-pushback-ms`).
"""

from __future__ import annotations

from urllib.parse import quote

from workbench.core.errors import ConflictError, OverloadedError, WorkbenchError

_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "FAILED_PRECONDITION",
    413: "RESOURCE_EXHAUSTED",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    507: "RESOURCE_EXHAUSTED",
}
_MOST_BYTES = 4000  # percent-encoded; clients take 8 kB of metadata by default


def code_of(error: WorkbenchError) -> str:
    """Returns the name of the status code for an error."""
    if isinstance(error, ConflictError):
        return "ABORTED"
    return _CODES.get(error.http_status, "UNKNOWN")


def words_of(error: WorkbenchError) -> str:
    """Returns the error in words, cut where a client would refuse longer metadata."""
    text = str(error)
    if len(text) * 9 <= _MOST_BYTES or len(quote(text)) <= _MOST_BYTES:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if len(quote(text[:middle])) <= _MOST_BYTES:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"


def trailers_of(error: WorkbenchError) -> tuple[tuple[str, str], ...]:
    """Returns the error's code for programs and, if trying again helps, when."""
    trailers = [("workbench-error", error.code)]
    if isinstance(error, OverloadedError):
        wait_ms = round(1e3 * float(error.context.get("retry_after_s", 1)))
        trailers.append(("grpc-retry-pushback-ms", str(wait_ms)))
    return tuple(trailers)
