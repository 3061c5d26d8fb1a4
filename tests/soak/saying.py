"""What a soak prints as it goes."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Prints a line at once: these runs are long, and looked at from a log."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
