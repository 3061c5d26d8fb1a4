"""The reading process: `python -m workbench.serving.apart`, over its standard input and output.

Ends with its caller, and by itself after a body that took much memory, to give it back.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import BinaryIO

from workbench.core.errors import UnexpectedError, WorkbenchError
from workbench.core.host import peak_bytes
from workbench.serving.apart.kinds import read
from workbench.serving.apart.work import Parsed, Work, read_work, write, write_parsed
from workbench.serving.errors import TooLargeError

_LOGGER = logging.getLogger(__name__)
_MOST_KEPT = 1_000_000_000
_POLITE = 5


def main() -> int:
    """Reads what is asked until nobody asks any more; returns the exit code."""
    asked, told = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    os.nice(_POLITE)
    write(told, {"ready": True})
    try:
        while _answer(asked, told):
            pass
    except (EOFError, BrokenPipeError):
        pass
    return 0


def _answer(asked: BinaryIO, told: BinaryIO) -> bool:
    """Answers one body; returns whether to go on."""
    found = _read(read_work(asked))
    is_last = peak_bytes() > _MOST_KEPT
    if isinstance(found, WorkbenchError):
        write(told, {"error": found.to_dict(), "is_last": is_last})
    else:
        write_parsed(told, found, is_last=is_last)
    return not is_last


def _read(work: Work) -> Parsed | WorkbenchError:
    try:
        return read(work)
    except WorkbenchError as error:
        return error
    except MemoryError:
        return _too_much()
    except Exception as error:
        _LOGGER.exception("a body could not be read")
        return _defect(error)


def _too_much() -> TooLargeError:
    return TooLargeError("Got a body that takes more memory than there is.", hint="Send less.")


def _defect(error: Exception) -> UnexpectedError:
    return UnexpectedError(
        f"The endpoint failed on this request: {type(error).__name__}.",
        hint="The trace is in the endpoint's log; please report it.",
    )


if __name__ == "__main__":
    sys.exit(main())
