"""From a name, and perhaps a version or alias, to the loaded model that answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from workbench.core.errors import InputError, NotFoundError, unknown_name
from workbench.serving.messages import Request
from workbench.serving.security import check_model
from workbench.serving.served import Served
from workbench.serving.splitting import Split
from workbench.serving.tokens import Token


class Router:
    """All models of one endpoint. Changed on the event loop only.

    The first version added under a name is the one that the bare name reaches, unless the name's
    requests are split.

    Attributes:
        splits: How requests for a bare name are shared out, for names where they are.
        on_change: Called with a name after its versions changed.
        gone: Why a name is not served any more, for names that were.
    """

    def __init__(self) -> None:
        self._names: dict[str, list[Served]] = {}
        self.splits: dict[str, Split] = {}
        self.on_change: Callable[[str], None] = lambda name: None
        self.gone: dict[str, str] = {}

    def add(self, served: Served) -> None:
        """Adds a model beside the others.

        Raises:
            InputError: The same version of the same name is served already.
        """
        line = self._names.setdefault(served.name, [])
        if any(other.source.ref == served.source.ref for other in line):
            raise InputError(f"'{served.source.ref}' is served already.")
        line.append(served)
        self.on_change(served.name)

    def switch(self, old: Served, new: Served) -> None:
        """Puts `new` in the place of `old`; requests from now on reach `new`."""
        line = self._names[old.name]
        line[line.index(old)] = new
        self.on_change(old.name)

    def remove(self, served: Served) -> None:
        """Takes a model out; the name goes with its last version."""
        line = self._names[served.name]
        line.remove(served)
        if not line:
            del self._names[served.name]
            self.splits.pop(served.name, None)
        else:
            self.on_change(served.name)

    def names(self) -> list[str]:
        """Returns the names served, in the order they were added."""
        return list(self._names)

    def visible(self, token: Token | None) -> list[Served]:
        """Returns the versions that the holder of a token may know of; none without one."""
        return [] if token is None else [s for s in self if token.allows(s.name)]

    def line(self, name: str) -> list[Served]:
        """Returns the versions served under a name, the first one first.

        Raises:
            NotFoundError: Nothing of that name is served here.
        """
        if name not in self._names:
            raise self._unknown(name)
        return list(self._names[name])

    def __iter__(self) -> Iterator[Served]:
        for line in self._names.values():
            yield from line

    def find(self, name: str | None, selector: str | None = None) -> Served:
        """Returns the model to answer.

        Args:
            name: As served; None reaches the only one there is.
            selector: A version number or an alias.

        Raises:
            NotFoundError: Nothing of that name or version is served here.
            InputError: No name was given and there are several.
        """
        line = self._names.get(name) if name is not None else self._only()
        if line is None:
            raise self._unknown(str(name))
        if selector is None:
            return line[0]
        for served in line:
            if selector in (served.version, served.source.alias):
                return served
        raise NotFoundError(
            f"'{line[0].name}' is not served in version '{selector}'.",
            hint=f"Served here: {', '.join(_selectors(line))}.",
            context={"what": "version", "got": selector, "known": _selectors(line)},
        )

    def answering(self, request: Request, name: str | None, selector: str | None = None) -> Served:
        """Returns the model to answer a request: as `find`, but predictions follow the split.

        A token for one model needs no name.

        Raises:
            ForbiddenError: The token is for other models.
            WorkbenchError: As `find`.
        """
        token = request.token
        if token is not None and token.models is not None:
            if name is None and len(token.models) == 1:
                name = token.models[0]
            check_model(token, name or next(iter(self._names), ""))
        served = self.find(name, selector)
        if selector is None and self.splits:
            split = self.splits.get(served.name)
            if split is not None and request.route is not None and request.route.predicts:
                return split.choose(request)
        return served

    def _unknown(self, name: str) -> NotFoundError:
        if name in self.gone:
            return NotFoundError(
                f"'{name}' is not served now: {self.gone[name]}",
                hint=f"POST /v2/repository/models/{name}/load serves it.",
                context={"what": "model", "got": name, "known": list(self._names)},
            )
        return unknown_name("model", name, self._names)

    def _only(self) -> list[Served] | None:
        if len(self._names) > 1:
            raise InputError(
                "Got no model name, and this endpoint serves several.",
                hint=f"Name one of: {', '.join(self._names)}.",
            )
        return next(iter(self._names.values()), None)


def _selectors(line: Iterable[Served]) -> list[str]:
    return [text for served in line for text in (served.version, served.source.alias) if text]
