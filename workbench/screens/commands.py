"""What may be asked of a screen: commands by name, whose arguments are checked by their types.

Whatever is not declared as a command is out of reach of every message.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from pydantic import ConfigDict, create_model

from workbench.core.config import Config
from workbench.core.errors import InputError

_MARK, _PREFIX = "screen_command", "do_"
Number = int | float  # so that a whole number stays one, in the line of Python, too
Reply = dict[str, Any] | None
Work = TypeVar("Work", bound=Callable[..., Reply])


class Arguments(Config):
    """The base of what commands take: nothing unknown, and no text in the place of a number."""

    model_config = ConfigDict(strict=True)


@dataclass(frozen=True)
class Command:
    """What a message may start.

    Attributes:
        name: Under which it is asked for.
        work: Does it, given checked arguments; what it returns is told to the caller alone.
        is_instant: Whether it only notes what is wanted, and needs no thread.
    """

    name: str
    work: Callable[..., Reply]
    is_instant: bool

    def __call__(self, arguments: Any) -> Reply:
        """Does it.

        Raises:
            InputError: The arguments are not those that it takes.
        """
        if not isinstance(arguments, Mapping):
            got = type(arguments).__name__
            raise InputError(f"The arguments of '{self.name}' are no object; got a {got}.")
        kind = _arguments_of(self.work.__func__)  # type: ignore[attr-defined]
        given = kind.parse(arguments, what=f"command '{self.name}'")
        return self.work(**{name: getattr(given, name) for name in kind.model_fields})


def command(*, is_for_visitors: bool = False, is_instant: bool = False) -> Callable[[Work], Work]:
    """Declares a method `do_<name>` as the command `<name>`.

    Args:
        is_for_visitors: Whether a read-only screen has it, too: it changes nothing but the view,
            and tells no secret.
        is_instant: Whether it only notes what is wanted.
    """

    def declare(work: Work) -> Work:
        work.__dict__[_MARK] = (is_for_visitors, is_instant)
        return work

    return declare


def commands_of(screen: object, *, is_readonly: bool) -> dict[str, Command]:
    """Returns a screen's commands by name; without those that are not for visitors if wanted."""
    methods = {name: m for kind in reversed(type(screen).__mro__) for name, m in vars(kind).items()}
    found = {}
    for method_name, method in methods.items():
        marks = getattr(method, "__dict__", {}).get(_MARK)
        if marks is not None and (marks[0] or not is_readonly):
            name = method_name.removeprefix(_PREFIX)
            found[name] = Command(name, getattr(screen, method_name), marks[1])
    return found


@functools.cache
def _arguments_of(work: Callable[..., Reply]) -> type[Arguments]:
    hints = get_type_hints(work, include_extras=True)
    parameters = list(inspect.signature(work).parameters.values())[1:]
    taken: dict[str, Any] = {
        p.name: (hints[p.name], ... if p.default is p.empty else p.default) for p in parameters
    }
    made: type[Arguments] = create_model(work.__name__, __base__=Arguments, **taken)
    return made
