"""Refs: the strings by which every record is named, as in "model:digits-cnn@champion"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from workbench.core.errors import InputError, did_you_mean

KINDS = ("dataset", "run", "study", "variant", "model", "endpoint")
_LONGEST_NUMBER = 20  # digits; Python refuses to read some thousand
_NAME = re.compile(r"[^\W_][\w.-]{0,99}")


@dataclass(frozen=True)
class Ref:
    """A parsed ref.

    `kind:name`, then `@selector` for datasets (fingerprint) and models (alias or number), then
    `/part` for an artifact of a run.
    """

    kind: str
    name: str
    selector: str | None = None
    part: str | None = None

    def __str__(self) -> str:
        selector = f"@{self.selector}" if self.selector else ""
        part = f"/{self.part}" if self.part else ""
        return f"{self.kind}:{self.name}{selector}{part}"


def parse_ref(text: str) -> Ref:
    """Returns the parts of a ref.

    Raises:
        InputError: The text is not a ref.
    """
    kind, colon, rest = text.partition(":")
    if not colon or not rest:
        raise InputError(
            f"'{text}' is not a ref.",
            hint=f"A ref is one of {', '.join(KINDS)}, a colon and a name: model:digits@champion.",
        )
    if kind not in KINDS:
        raise InputError(
            f"'{kind}' is not a kind of ref{did_you_mean(kind, KINDS) or '.'}",
            hint=f"Kinds: {', '.join(KINDS)}.",
        )
    head, _, part = rest.partition("/")
    name, at, selector = head.partition("@")
    if not name or (at and not selector):
        raise InputError(
            f"The ref '{text}' has an empty part.",
            hint=f"Maybe you meant '{text.rstrip('@/')}'?",
        )
    return Ref(kind, name, selector or None, part or None)


def version_number(selector: str) -> int:
    """Returns the number that decimal digits say; a number that no version has, if it is absurd."""
    return int(selector) if len(selector) <= _LONGEST_NUMBER else 10**_LONGEST_NUMBER


def is_ref(text: str) -> bool:
    """Returns whether the text starts like a ref; Windows drives and URLs do not."""
    return text.partition(":")[0] in KINDS and ":" in text


def check_name(name: str, *, what: str) -> str:
    """Returns `name` if it can name a model, an alias or an endpoint.

    Letters of any script, digits, `.`, `-` and `_`; at most 100; it starts with a letter or digit.

    Raises:
        InputError: It cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"'{name}' cannot be the name of {what}.",
            hint="Use letters, digits, '.', '-' and '_' (at most 100), starting with a letter "
            "or digit.",
        )
    return name
