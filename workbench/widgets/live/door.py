"""What a page may do with a panel: the commands that it starts and the traits that it sets.

Whatever is declared neither as a command nor as an input is out of reach of every message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

_LOG = logging.getLogger(__name__)
_MARK, _PREFIX = "panel_command", "do_"
Work = TypeVar("Work", bound=Callable[..., None])
Check = Callable[[Any], bool]


@dataclass(frozen=True)
class Command:
    """What a message may start.

    Attributes:
        work: Does it, given the message's arguments.
        is_instant: Whether it only notes what is wanted, and needs no thread.
    """

    work: Callable[..., None]
    is_instant: bool


def command(*, is_for_visitors: bool = False, is_instant: bool = False) -> Callable[[Work], Work]:
    """Declares a method `do_<name>` as the command `<name>`.

    Args:
        is_for_visitors: Whether a read-only panel has it, too: it changes nothing but the view,
            and tells no secret.
        is_instant: Whether it only notes what is wanted.
    """

    def declare(work: Work) -> Work:
        work.__dict__[_MARK] = (is_for_visitors, is_instant)
        return work

    return declare


def commands_of(panel: object, *, is_readonly: bool) -> Mapping[str, Command]:
    """Returns a panel's commands by name; without those that are not for visitors if wanted."""
    methods = {name: m for kind in reversed(type(panel).__mro__) for name, m in vars(kind).items()}
    found = {}
    for name, method in methods.items():
        marks = getattr(method, "__dict__", {}).get(_MARK)
        if marks is not None and (marks[0] or not is_readonly):
            found[name.removeprefix(_PREFIX)] = Command(getattr(panel, name), marks[1])
    return found


class Closed:
    """Mixed into a widget: a page sets the traits that are its `inputs`, and no other.

    Attributes:
        inputs: What each input may be, by the trait's name.
    """

    inputs: Mapping[str, Check] = MappingProxyType({})

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Takes inputs from a page; tells it again what it may not set."""
        widget: Any = self
        inputs = self.inputs
        taken = {k: v for k, v in sync_data.items() if k in inputs and inputs[k](v)}
        if taken:
            super().set_state(taken)  # type: ignore[misc]
        refused = [name for name in widget.keys if name in sync_data and name not in taken]
        if refused:
            _LOG.debug("%s: a page may not set %s", type(self).__name__, refused)
            widget.send_state(refused)
