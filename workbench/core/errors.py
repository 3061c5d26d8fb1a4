"""One error tree for panel, HTTP body, run record and traceback. Standard library only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

_LONGEST_NAME = 200


class WorkbenchError(Exception):
    """Base of every error a user can meet.

    The message follows one grammar: what was got, what would be right. `hint` says what to do.

    Args:
        message: What was got and what would be right.
        hint: What to do about it; empty if the message says it all.
        context: JSON-able facts for programs (names, places, limits).
        problems: Every single problem of one input, each with its place.
    """

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        context: Mapping[str, Any] | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.context = dict(context or {})
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [self.message, *(f"  - {problem}" for problem in self.problems)]
        if self.hint:
            lines.append(self.hint)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Returns the error as JSON-able values, the form in which it crosses processes."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "problems": list(self.problems),
            "context": self.context,
        }


class InputError(WorkbenchError, ValueError):
    """Something given by the user is wrong: a value, a file, a row, an option."""

    code = "bad_input"
    http_status = 422


class NotFoundError(WorkbenchError, LookupError):
    """A name or ref that does not exist."""

    code = "not_found"
    http_status = 404


class StateError(WorkbenchError):
    """The thing exists, but its state does not allow what was asked."""

    code = "wrong_state"
    http_status = 409


class ConflictError(StateError):
    """Somebody else changed the thing first."""

    code = "conflict"


class IntegrityError(WorkbenchError):
    """Stored bytes, a digest or a signature are not what was recorded."""

    code = "integrity"


class StorageError(WorkbenchError):
    """The workspace cannot be written to: the disk is full, or read-only."""

    code = "storage"
    http_status = 507


class UnsafeError(WorkbenchError):
    """Loading this would run code or leave the allowed folder, so it is refused."""

    code = "unsafe"
    http_status = 422


class MissingDependencyError(WorkbenchError, ImportError):
    """An optional package is not installed."""

    code = "missing_dependency"
    http_status = 501


class UnsupportedError(WorkbenchError):
    """The combination asked for cannot work; the message gives the reason."""

    code = "unsupported"
    http_status = 422


class UnauthorizedError(WorkbenchError):
    """No token was sent."""

    code = "unauthorized"
    http_status = 401


class ForbiddenError(WorkbenchError):
    """The token is wrong or its scope does not cover the request."""

    code = "forbidden"
    http_status = 403


class OverloadedError(WorkbenchError):
    """The endpoint's queue or a limit is full; trying again later helps."""

    code = "overloaded"
    http_status = 503


class RunFailedError(WorkbenchError):
    """A run ended in failure; the cause is in the message and in the run's record."""

    code = "run_failed"


class UnexpectedError(WorkbenchError):
    """Something broke that nobody foresaw: a defect. The traceback is kept beside the log."""

    code = "unexpected"


class CancelledError(WorkbenchError):
    """The user stopped the work."""

    code = "cancelled"
    http_status = 499


def error_types() -> dict[str, type[WorkbenchError]]:
    """Returns every error class by its code, base first."""
    found: dict[str, type[WorkbenchError]] = {}
    pending: list[type[WorkbenchError]] = [WorkbenchError]
    while pending:
        cls = pending.pop(0)
        found.setdefault(cls.code, cls)
        pending.extend(cls.__subclasses__())
    return found


def error_from_dict(data: Mapping[str, Any]) -> WorkbenchError:
    """Rebuilds an error from `WorkbenchError.to_dict`; an unknown code gives the base class."""
    cls = error_types().get(str(data.get("code")), WorkbenchError)
    return cls(
        str(data.get("message", "")),
        hint=str(data.get("hint", "")),
        context=data.get("context") or {},
        problems=data.get("problems") or (),
    )


def did_you_mean(got: str, known: Iterable[str]) -> str:
    """Returns "; did you mean 'x'?" for the nearest known name, or an empty string.

    What is too long to be a slip of the pen is not looked for: that takes time by its length.
    """
    if len(got) > _LONGEST_NAME:
        return ""
    match = difflib.get_close_matches(got, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{match[0]}'?" if match else ""


def unknown_name(what: str, got: str, known: Iterable[str], *, hint: str = "") -> NotFoundError:
    """Returns the error for a name that is not known, with the nearest match.

    Args:
        what: The sort of name, as in "method".
        got: The name as given.
        known: All names that exist.
        hint: Where the user sees all names; by default the names themselves.
    """
    names = sorted(known)
    got = got if len(got) <= _LONGEST_NAME else f"{got[:_LONGEST_NAME]}…"
    listing = ", ".join(names) if names else "none yet"
    return NotFoundError(
        f"No {what} '{got}'{did_you_mean(got, names) or '.'}",
        hint=hint or f"Known: {listing}.",
        context={"what": what, "got": got, "known": names},
    )
