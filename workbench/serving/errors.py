"""Errors that only an HTTP endpoint knows. They follow the grammar of `core.errors`."""

from __future__ import annotations

from workbench.core.errors import OverloadedError, WorkbenchError


class BadRequestError(WorkbenchError):
    """The bytes are not the HTTP or JSON they claim to be."""

    code = "bad_request"
    http_status = 400


class MethodNotAllowedError(WorkbenchError):
    """The path exists, but not for this HTTP method; `context["allow"]` lists those that do."""

    code = "method_not_allowed"
    http_status = 405


class RequestTimeoutError(WorkbenchError):
    """The request came too slowly."""

    code = "request_timeout"
    http_status = 408


class DeadlineError(WorkbenchError):
    """The caller's own time for the request was over before it was answered."""

    code = "deadline_passed"
    http_status = 504


class TooLargeError(WorkbenchError):
    """The request's body or header is larger than the endpoint's limit."""

    code = "too_large"
    http_status = 413


class HeadTooLargeError(TooLargeError):
    """The request's line and headers are larger than the endpoint's limit."""

    code = "head_too_large"
    http_status = 431


class MediaTypeError(WorkbenchError):
    """The body's type or encoding is not one that the route takes."""

    code = "media_type"
    http_status = 415


class RateLimitedError(OverloadedError):
    """The token's own limit of requests a second is reached."""

    code = "rate_limited"
    http_status = 429


class ModelError(WorkbenchError):
    """The model itself failed on an input that fits its signature."""

    code = "model_failed"


class StartError(WorkbenchError):
    """The endpoint could not be started; the message carries the process's own words."""

    code = "endpoint_start"


class EndpointGoneError(WorkbenchError):
    """No endpoint answers at this address."""

    code = "endpoint_gone"
    http_status = 502


NOT_FINITE = {"not_finite": True}  # the context of a `ModelError` for NaN or infinity


def not_http(error: Exception) -> BadRequestError:
    """Returns the error for bytes that the parser refused."""
    return BadRequestError(
        f"Got bytes that are not HTTP/1.1: {error}.",
        hint="Check the request line, the headers and the length of the body.",
    )


def too_slow(part: str, seconds: float) -> RequestTimeoutError:
    """Returns the error for a request whose head or body takes too long."""
    return RequestTimeoutError(f"The request's {part} was not complete after {seconds:.0f} s.")
