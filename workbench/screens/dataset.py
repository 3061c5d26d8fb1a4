"""A dataset: samples, balance, findings, augmentation before and after; uploads and loading."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Strict

from workbench.core.errors import InputError, StateError, WorkbenchError
from workbench.data.dataset import Dataset
from workbench.data.file_kinds import file_kinds
from workbench.data.load import sniff
from workbench.data.sources import SOURCES
from workbench.flow.workspace import Workspace
from workbench.screens import forms, uploads
from workbench.screens.commands import Arguments, command
from workbench.screens.screen import Screen
from workbench.screens.showing import Field
from workbench.screens.views import dataset as view
from workbench.screens.views import suspicion

_NEEDS_PYTHON = ("torch_dataset", "arrays")
FileSize = Annotated[tuple[str, int], Strict(False)]


class Piece(Arguments):
    """A piece of a file: where it belongs, and its bytes, or the same as base64."""

    path: str
    at: int
    data: bytes | str

    @property
    def content(self) -> bytes:
        """Its bytes."""
        if isinstance(self.data, bytes):
            return self.data
        try:
            return base64.b64decode(self.data, validate=True)
        except binascii.Error as error:
            raise InputError(f"A piece of '{self.path[:80]}' is no base64: {error}.") from error


class DatasetScreen(Screen):
    """Shows one dataset; in the app it also loads them.

    Args:
        workspace: The workspace.
        dataset: The dataset; None shows the form alone.
        has_form: Whether data can be loaded here.
        on_loaded: Called with a dataset that was loaded here.
        is_readonly: Whether nothing can be changed.

    Attributes:
        gallery: Samples of a part: tiles, or rows of a table.
        sample: One sample before and after augmentation, or what is wrong with the text.
        form: The sources with their options, and what was loaded before.
        uploading: How far an upload is, and in the end what can be loaded.
    """

    gallery: Field[dict[str, Any]] = Field({})
    sample: Field[dict[str, Any]] = Field({})
    form: Field[dict[str, Any]] = Field({})
    uploading: Field[dict[str, Any]] = Field({})

    def __init__(
        self,
        workspace: Workspace,
        dataset: Dataset | None = None,
        *,
        has_form: bool = False,
        on_loaded: Callable[[Any], None] | None = None,
        is_readonly: bool = False,
    ) -> None:
        super().__init__(is_readonly=is_readonly)
        self._workspace, self._on_loaded = workspace, on_loaded
        self._dataset: Dataset | None = None
        self._upload: uploads.Upload | None = None
        self._has_form = has_form
        self.refresh()
        if dataset is not None:
            self.attach(dataset)

    def attach(self, dataset: Dataset) -> None:
        """Shows `dataset` from now on."""
        with self.together():
            if self._dataset is not None and self._dataset.ref == dataset.ref:
                return
            self._dataset = dataset
            self.sample = {}
            self.facts = view.state(dataset)
            self.gallery = self._samples("train", None, "class")

    def refresh(self) -> None:
        """Looks for datasets that are new."""
        if not self._has_form:
            return
        loaded = [
            {"ref": r.ref, "label": r.ref.removeprefix("dataset:")}
            for r in self._workspace.store.datasets.list()[: forms.MOST]
        ]
        sources = [_source(key) for key in SOURCES if key not in _NEEDS_PYTHON]
        files = " or ".join(f"{kind.noun}s" for kind in file_kinds().values())
        self.form = {"loaded": loaded, "sources": sources, "files": files}

    @command(is_for_visitors=True)
    def do_look_at(self, part: str, label: int | None = None, order: str = "class") -> None:
        """Shows samples of a part, of one class or of all, the most suspicious first if wanted."""
        _check_part(part)
        self.gallery = self._samples(part, label, order)

    @command(is_for_visitors=True)
    def do_augment(self, part: str, index: int, text: str, is_typed: bool = False) -> None:
        """Shows one sample before and after augmentation; while it is typed, errors stay small."""
        _check_part(part)
        try:
            self.sample = view.augmented(self._shown, part, index, text)
        except WorkbenchError as error:
            if not is_typed:
                raise
            words = " ".join([error.message, *error.problems])
            self.sample = {**self.sample, "text": text, "problem": words}
            return
        if text.strip():
            self.did(f'wb.load("{self._shown.name}", augment="{text.strip()}")')

    @command(is_for_visitors=True)
    def do_play(self, part: str, index: int) -> dict[str, Any]:
        """Tells one sample to the caller, to be heard or watched; it is not kept."""
        _check_part(part)
        return {"sample": view.media(self._shown, part, index)}

    @command()
    def do_upload_begin(self, id: str, files: list[FileSize]) -> None:
        """Gets ready for files that the page sends in pieces."""
        self.uploading = {}
        self._upload = uploads.begin(self._workspace.store.home.root, id, files)
        self.uploading = {
            "id": id,
            "received": 0,
            "total": self._upload.total,
            "skipped": list(self._upload.skipped),
        }

    @command(is_instant=True)
    def do_upload(self, id: str, parts: list[Piece]) -> None:
        """Takes pieces of files; `uploading` tells the page when the next may come."""
        upload = self._upload
        if upload is None or self.uploading.get("id") != id:
            return
        try:
            for piece in parts:
                upload.take(piece.path, piece.at, piece.content)
            done = {"found": upload.found()} if upload.is_complete else {}
        except Exception:
            upload.forget()
            self._upload, self.uploading = None, {}
            raise
        self.uploading = {**self.uploading, "received": upload.received, **done}

    @command()
    def do_upload_stop(self) -> None:
        """Forgets what came of an upload."""
        upload, self._upload = self._upload, None
        self.uploading = {}
        if upload is not None and not upload.is_complete:
            upload.forget()

    @command()
    def do_load(self, source: str, values: dict[str, Any]) -> None:
        """Loads data and shows it."""
        options = {k: _typed(k, v) for k, v in values.items() if v not in ("", None)}
        given: Any = source
        if "path" in options:
            path = Path(str(options.pop("path"))).expanduser()
            is_usual = sniff(path)[0] == source
            given = path if is_usual else source
            options |= {} if is_usual else {"path": str(path)}
        dataset = self._workspace.load(given, **options)
        words = "".join(f", {k}={v!r}" for k, v in options.items())
        self.did(f"wb.load({str(given)!r}{words})", f"loaded {dataset.ref}")
        self._taken(dataset)

    @command()
    def do_open(self, ref: str) -> None:
        """Shows a dataset that was loaded before."""
        self._taken(self._workspace.load(ref))
        self.did(f'wb.load("{ref}")')

    @property
    def _shown(self) -> Dataset:
        if self._dataset is None:
            raise StateError("No dataset is shown.", hint="Load one first.")
        return self._dataset

    def _taken(self, dataset: Dataset) -> None:
        self.attach(dataset)
        self.refresh()
        if self._on_loaded is not None:
            self._on_loaded(dataset)

    def _samples(self, part: str, label: int | None, order: str) -> dict[str, Any]:
        if not view.has_tiles(self._shown):
            return view.table_rows(self._shown, part)
        if order == "suspicion" and view.has_classes(self._shown):
            return suspicion.gallery(self._shown, part, label)
        return view.gallery(self._shown, part, label)


def _check_part(part: str) -> None:
    if part not in view.PARTS:
        raise InputError(
            f"There is no part '{part[:80]}'.", hint=f"Parts: {', '.join(view.PARTS)}."
        )


def _source(key: str) -> dict[str, Any]:
    info = SOURCES.info(key)
    knobs = forms.knobs_of(SOURCES.get(key).Config) if info.summary else []
    return {"key": key, "summary": info.summary, "reason": info.reason, "knobs": knobs}


def _typed(name: str, value: Any) -> Any:
    if isinstance(value, str) and name in ("split", "ignore", "categorical"):
        parts = [part.strip() for part in value.replace("/", ",").split(",") if part.strip()]
        if name != "split":
            return tuple(parts)
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            return value
        return tuple(n / sum(numbers) if sum(numbers) > 1.5 else n for n in numbers)
    return value
