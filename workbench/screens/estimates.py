"""Estimates for the explorer: the newest question first, in a thread of their own.

While nobody asks, the same thread refines the table, and pauses while a variant is measured, so
that neither the kernel's messages nor a measurement waits for it. When the table has grown it is
handed on for the page, which then computes estimates by itself.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.compression.page_table import PageTable
from workbench.core.errors import CancelledError, WorkbenchError
from workbench.flow.study import Study
from workbench.screens.views import estimate as view
from workbench.store import NullContext

Publish = Callable[[dict[str, Any]], None]
_PATIENCE_S = 0.25
_APART_S = 2.0


class Estimates(NullContext):
    """Answers about one study until it is closed; also the context of the refinement.

    Args:
        study: The study.
        publish: Called with each answer, from the thread.
        is_measuring: Whether a variant is being measured just now.
        hand_on: Called with the table for the page, at most every two seconds.
    """

    def __init__(
        self,
        study: Study,
        publish: Publish,
        is_measuring: Callable[[], bool],
        hand_on: Callable[[PageTable], None] = lambda table: None,
    ) -> None:
        super().__init__(Path())
        self._study, self._publish, self._is_measuring = study, publish, is_measuring
        self._hand_on = hand_on
        self._handed_on: tuple[int, ...] = ()
        self._handed_at = -_APART_S
        self._changed = threading.Condition()
        self._question: str | None = None
        self._is_closed = self._is_tired = False
        self._thread: threading.Thread | None = None

    def ask(self, recipe: str) -> None:
        """Asks about a recipe ("" only gets ready); a question not yet taken is forgotten."""
        with self._changed:
            self._question = recipe
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="estimates")
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread at its next step."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def event(self, kind: str, **data: Any) -> None:
        """Progress of the refinement is not shown."""

    def check(self) -> None:
        """Answers what was asked meanwhile, and waits while a variant is measured.

        Raises:
            CancelledError: Nobody wants estimates any more.
        """
        while True:
            self._answer()
            self._tell_table()
            with self._changed:
                if self._is_closed:
                    raise CancelledError("The explorer shows another study.")
                if self._question is None and not self._is_measuring():
                    return
                if self._question is None:
                    self._changed.wait(_PATIENCE_S)

    def _run(self) -> None:
        with contextlib.suppress(CancelledError):
            while True:
                self.check()
                if not self._is_tired and not self._study.estimator.is_refined:
                    self._refine()
                with self._changed:
                    if self._question is None and not self._is_closed:
                        self._changed.wait()

    def _refine(self) -> None:
        self._is_tired = True
        try:
            self._study.estimator.refine(self)
        except CancelledError:
            raise
        except WorkbenchError as error:
            self._publish(view.refused("", error))
        else:
            self._tell_table(0.0)
            self._publish(view.account(self._study))

    def _tell_table(self, apart_s: float = _APART_S) -> None:
        estimator = self._study.estimator
        extent = (len(estimator.table), len(estimator.looks), len(estimator.measured))
        soon = time.monotonic() - self._handed_at < apart_s
        if soon or extent == self._handed_on or not extent[0]:
            return
        self._handed_on = extent
        self._hand_on(estimator.page_table())
        self._handed_at = time.monotonic()

    def _answer(self) -> None:
        with self._changed:
            asked, self._question = self._question, None
        if asked is None:
            return
        try:
            said = view.account(self._study) if not asked else view.answer(self._study, asked)
        except WorkbenchError as error:
            said = view.refused(asked, error)
        except Exception as error:  # noqa: BLE001 (the border of a panel: shown beside the point)
            said = view.refused(asked, WorkbenchError(f"{type(error).__name__}: {error}"))
        self._publish(said)
