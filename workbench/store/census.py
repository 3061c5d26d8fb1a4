"""How many seals of each kind there are, and their sum: a row that goes with its seal is missed.

The sum is an additive multiset hash: AdHash of Bellare and Micciancio, "A New Paradigm for
Collision-Free Hashing: Incrementality at Reduced Cost" (1997), over the seals, which are a keyed
PRF of the rows. It is brought up to date in the transaction that writes or deletes a row, whatever
their number, and is sealed itself. A census put back together with the rows of its time is not
told from now.
"""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

KIND = "census"
_MODULUS = 1 << 256


@dataclass(frozen=True)
class Count:
    """How many seals there are, and their sum modulo 2^256."""

    number: int = 0
    total: int = 0

    def plus(self, sign: int, seal: int) -> Count:
        """Returns the count with one seal more (sign 1) or less (sign -1)."""
        return Count(self.number + sign, (self.total + sign * seal) % _MODULUS)


class Census:
    """The census of one workspace.

    Args:
        seal: Computes the seal of a content of a kind.
    """

    def __init__(self, seal: Callable[[str, Any], str]) -> None:
        self._seal = seal

    def begin(self, connection: sqlite3.Connection, kinds: Iterable[str]) -> None:
        """Starts at the seals that are there."""
        for kind in kinds:
            self.renew(connection, kind)

    def renew(self, connection: sqlite3.Connection, kind: str) -> None:
        """Counts a kind anew, whatever was said before."""
        found = _counted(connection, kind)
        if found is not None:
            self._write(connection, kind, found)

    def update(self, connection: sqlite3.Connection, kind: str, old: Any, new: str | None) -> None:
        """Counts that one seal took another's place; None for none.

        What is wrong stays wrong, for `problem` to find: nothing that is written mends it.
        """
        count, seals = self._said(connection, kind), ((-1, old), (1, new))
        for sign, seal in seals:
            number = _integer(seal)
            if count is None or number is None:
                return
            count = count if seal is None else count.plus(sign, number)
        if count is not None:
            self._write(connection, kind, count)

    def problem(self, connection: sqlite3.Connection, kind: str) -> str | None:
        """Returns what is wrong with the number of a kind's records, in words."""
        said, found = self._said(connection, kind), _counted(connection, kind)
        if said is None:
            return f"The count of the {kind} records was changed behind the workspace's back."
        if said == found:
            return None
        missing = said.number - (found or Count()).number
        how = f"{missing} of them are gone, with their seals" if missing > 0 else "others are there"
        return (
            f"The {kind} records are not those that the workspace wrote: {said.number} were "
            f"written, and {how}."
        )

    def _said(self, connection: sqlite3.Connection, kind: str) -> Count | None:
        row = connection.execute(
            "SELECT seal FROM seals WHERE kind = ? AND key = ?", (KIND, kind)
        ).fetchone()
        number, _, rest = str(row["seal"] if row is not None else "").partition(" ")
        total, _, seal = rest.partition(" ")
        right = self._seal(KIND, [kind, number, total])
        if not hmac.compare_digest(seal.encode(errors="replace"), right.encode()):
            return None
        return Count(int(number), int(total, 16))

    def _write(self, connection: sqlite3.Connection, kind: str, count: Count) -> None:
        said = [f"{count.number}", f"{count.total:064x}"]
        text = " ".join([*said, self._seal(KIND, [kind, *said])])
        connection.execute("INSERT OR REPLACE INTO seals VALUES (?, ?, ?)", (KIND, kind, text))


def _counted(connection: sqlite3.Connection, kind: str) -> Count | None:
    """Returns the count of the seals that are there; None if one of them is none."""
    number, total = 0, 0
    for row in connection.execute("SELECT seal FROM seals WHERE kind = ?", (kind,)):
        seal = _integer(row["seal"])
        if seal is None:
            return None
        number, total = number + 1, total + seal
    return Count(number, total % _MODULUS)


def _integer(seal: Any) -> int | None:
    if seal is None:
        return 0
    try:
        return int(seal, 16)
    except (ValueError, TypeError):
        return None
