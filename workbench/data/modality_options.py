"""Options that a modality asks for, beside those of the source that its samples come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from workbench.data.modalities import MODALITIES
from workbench.data.source import SourceConfig


class ModalityOptions(SourceConfig):
    """Takes options of the modality beside its own: `seconds=2` is `options={"seconds": 2}`."""

    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Options of the modality, as its `Options` tell; they may also be given as "
        "options of the source, as in seconds=2.",
    )

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, values: Any) -> Any:
        """Moves what only a modality knows into `options`; an unknown name stays, and is told."""
        if not isinstance(values, Mapping):
            return values
        known = _known(values.get("modality")) - set(cls.model_fields)
        own = {name: value for name, value in values.items() if name not in known}
        further = {name: value for name, value in values.items() if name in known}
        if further:
            own["options"] = {**(values.get("options") or {}), **further}
        return own


def parsed_options(modality: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the checked options of a modality by name.

    Raises:
        InputError: With every problem at once.
    """
    options = MODALITIES.get(modality).Options.parse(values, what=f"the modality '{modality}'")
    return {name: getattr(options, name) for name in type(options).model_fields}


def _known(modality: Any) -> set[str]:
    """Returns the options of a modality, or of all if it is not told."""
    keys = MODALITIES.keys() if modality is None else [modality]
    return {
        name
        for key in keys
        if key in MODALITIES
        for name in MODALITIES.get(key).Options.model_fields
    }
