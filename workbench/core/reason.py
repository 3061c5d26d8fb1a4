"""Why somebody changed something, as the audit log keeps it: one line of bounded length."""

from __future__ import annotations

import unicodedata

from workbench.core.errors import InputError

LONGEST = 500
_CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # Persian and emoji need them


def check_reason(text: str) -> str:
    """Returns a reason without the spaces around it.

    Raises:
        InputError: It is longer than 500 characters, or has control characters such as line breaks.
    """
    text = text.strip()
    problems = []
    if len(text) > LONGEST:
        problems.append(f"it has {len(text)} characters; at most {LONGEST} are kept")
    controls = sorted({f"U+{ord(c):04X}" for c in text if _is_control(c)})
    if controls:
        problems.append(f"it has control characters: {', '.join(controls[:5])}")
    if problems:
        raise InputError(
            "The reason cannot be kept in the audit log.",
            problems=problems,
            hint='One line in your own words, as in "canary after the review of 3 May".',
        )
    return text


def _is_control(character: str) -> bool:
    """Line breaks and the like, and what turns the direction of the text around it."""
    return unicodedata.category(character) in _CONTROLS and character not in _JOINERS
