"""What a page may set of a widget: its inputs, and no other trait."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from workbench.screens.showing import Check

_LOG = logging.getLogger(__name__)


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
