"""Seals of what endpoints keep, `endpoints/ID/state.json`: tokens, traffic and loaded models.

The seal stands in the file itself and not in the database: a token can be revoked when the disk is
full. It names the endpoint, so another one's file is no use. An earlier file with its seal is told
by who has seen a later one, that is while the endpoint runs; from a start on it is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.core.clock import now
from workbench.core.errors import IntegrityError
from workbench.core.files import write_private
from workbench.core.host import FileLock
from workbench.store.audit import Audit
from workbench.store.database import Database
from workbench.store.home import Home
from workbench.store.reading import reading
from workbench.store.seals import Seals

STATE = "state"  # the kind of the seals
FILE, LOCK = "state.json", "state.lock"
_SEAL = "seal"
_NOTE = "sealed-endpoints"
_WHY = "taken as it was found when the endpoints' states were sealed"


def seal_state(seals: Seals, endpoint: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values with the seal that makes them the state of this endpoint."""
    return {**values, _SEAL: seals.of(STATE, _content(endpoint, values))}


def read_state(path: Path, seals: Seals | None) -> dict[str, Any]:
    """Returns the values of a state; one that tells nothing needs no seal.

    Args:
        path: Of the file, in the endpoint's folder.
        seals: None for an endpoint without a workspace, whose folder goes with its process.

    Raises:
        FileNotFoundError: There is none.
        IntegrityError: It is not what the workspace wrote for this endpoint.
    """
    values = _values(path)
    seal, endpoint = values.pop(_SEAL, None), path.parent.name
    if seals is None or not any(values.values()):
        return values
    if not seals.holds(STATE, _content(endpoint, values), seal):
        seals.check_key()
        what = "was changed behind the workspace's back" if seal else "bears no seal"
        raise refusal(path, f"{what}: its tokens, traffic and models are not believed")
    return values


def refusal(path: Path, what: str) -> IntegrityError:
    """Returns the error for a state that is not believed."""
    return IntegrityError(
        f"The state of endpoint:{path.parent.name} {what}.",
        hint=f"If the endpoint runs, the next change of its tokens or traffic writes it anew. Else "
        f"remove {path} (tokens made at run time, revocations and traffic are forgotten), or serve "
        "with another --id.",
        context={"kind": STATE, "path": str(path)},
    )


def changed_states(home: Home, seals: Seals) -> Iterator[IntegrityError]:
    """Yields what is wrong with each state that is not what the workspace wrote."""
    for path in _paths(home):
        try:
            read_state(path, seals)
        except FileNotFoundError:
            continue  # it went meanwhile
        except IntegrityError as error:
            yield error


def begin_states(home: Home, db: Database, seals: Seals, audit: Audit) -> None:
    """Seals the states of a workspace of the version before as they are found, once.

    A note in `keys/` keeps who can only write the endpoints' folders from having it done again.
    """
    note = _note(home)
    if note.exists():
        return
    count = sum(_adopt(path, seals) for path in _paths(home))
    if count:
        with db.transaction() as connection:
            audit.add(connection, "seal", "workspace", {"endpoints": count, "reason": _WHY})
    write_private(note, now() + "\n")


def forget_states(home: Home) -> None:
    """Lets the next one who opens the workspace seal the states again, with another key."""
    _note(home).unlink(missing_ok=True)


def _adopt(path: Path, seals: Seals) -> bool:
    """Seals a state whatever it says; returns whether it did, or had no need to."""
    with FileLock(path.with_name(LOCK)), suppress(FileNotFoundError, IntegrityError):
        with suppress(IntegrityError):
            read_state(path, seals)
            return False
        values = {key: value for key, value in _values(path).items() if key != _SEAL}
        write_private(path, json.dumps(seal_state(seals, path.parent.name, values)))
        return True
    return False


def _values(path: Path) -> dict[str, Any]:
    found: Any = None
    with reading(f"The state of endpoint:{path.parent.name}", refusal(path, "").hint):
        found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise refusal(path, "is no object of JSON")
    return found


def _content(endpoint: str, values: Mapping[str, Any]) -> list[str]:
    """As one text, since a state may hold a number that canonical JSON has not."""
    return [endpoint, json.dumps(values, sort_keys=True)]


def _paths(home: Home) -> list[Path]:
    return sorted(home.endpoints.glob(f"*/{FILE}"))


def _note(home: Home) -> Path:
    return home.keys / _NOTE
