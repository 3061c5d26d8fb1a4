"""The verbs. Each takes a record or its ref and returns a record; none of them holds state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import InputError, StateError, did_you_mean
from workbench.core.ids import digest_json
from workbench.core.lazy import lazy
from workbench.core.refs import check_name, is_ref, parse_ref, version_number
from workbench.core.storage import bordered
from workbench.flow import exports, resolve
from workbench.flow.batch import is_batch
from workbench.flow.progress import Bar
from workbench.flow.registering import manifest_of
from workbench.flow.run import Run
from workbench.flow.tidying import tidy
from workbench.flow.variant import Variant
from workbench.flow.version import ModelVersion
from workbench.store import Store, open_store
from workbench.store.in_use import refuse_if_served

if TYPE_CHECKING:
    from workbench import data as data_floor
    from workbench.data.dataset import Dataset
    from workbench.flow import endpoint as flow_endpoint
    from workbench.flow import evaluating, importing
    from workbench.flow import studies as flow_studies
    from workbench.flow.endpoint import Endpoint
    from workbench.flow.exports import Export
    from workbench.flow.study import Study
    from workbench.training import config as training_config
else:
    data_floor = lazy("workbench.data")
    evaluating = lazy("workbench.flow.evaluating")
    flow_endpoint = lazy("workbench.flow.endpoint")
    flow_studies = lazy("workbench.flow.studies")
    importing = lazy("workbench.flow.importing")
    training_config = lazy("workbench.training.config")


@bordered(root=lambda space: space.store.home.root)
class Workspace:
    """One workspace and what can be done in it.

    Args:
        root: Its folder; by default the one that the current folder belongs to.
        inline: Whether runs are executed in this process; by default only in batch.
    """

    def __init__(self, root: Path | str | None = None, *, inline: bool | None = None) -> None:
        self.store: Store = open_store(None if root is None else Path(root))
        self.is_batch = is_batch()
        self.inline = self.is_batch if inline is None else inline

    def __repr__(self) -> str:
        return f"Workspace({str(self.store.home.root)!r})"

    def load(self, source: Any, **config: Any) -> Dataset:
        """Prepares data: decoded, split, with statistics of the training split, fingerprinted.

        Args:
            source: "digits", "arrays", "images", "table" or another source; a CSV or Parquet
                file; a folder of images by class; a DataFrame; a torch `Dataset`; a ref.
            config: Options of the source, as `target="churn"`, `split=(.5, .25, .25)`, `seed=1`,
                `augment="shift:1"`.

        Returns:
            The dataset, with `.train`, `.val`, `.test`, `.labels`, `.fingerprint`, `.findings`.

        Raises:
            InputError: With everything that is wrong with the data, at once.
        """
        with Bar("load") as bar:
            return data_floor.load(self.store, source, progress=bar.set, **config)

    def train(self, data: Any, family: Any = None, **options: Any) -> Run:
        """Trains a model in the background; the cell returns at once.

        Args:
            data: A dataset or its ref.
            family: "linear", "mlp", "cnn", "resnet", …, or a `torch.nn.Module` of your own.
            options: Of the training (`epochs`, `batch_size`, `lr`, `seed`, `early_stopping`, …)
                and of the family (`depth`, `width`, …).

        Returns:
            A run with `.wait()`, `.metrics`, `.history()`, `.stop()`, `.pause()`, `.resume()`.
        """
        dataset = resolve.resolve_data(self.store, data)
        module = None if family is None or isinstance(family, str) else family
        config = training_config.train_config(None if module is not None else family, options)
        inputs = {"data": dataset.artifact.digest, "data_ref": dataset.ref}
        stored = {**config.to_json(), "needs_module": module is not None}
        if self.is_batch and module is None:
            return self._remembered("train", stored, inputs)
        run = Run(self.store, self.store.runs.create("train", stored, inputs).id, module)
        return run.run_inline() if self.inline else run.start()

    def import_model(
        self, model: Any, data: Any = None, *, loss: Any = None, metric: Any = None
    ) -> Run:
        """Brings in a model of your own: a `torch.nn.Module` or an ONNX file.

        Args:
            model: The module, or the path of the ONNX file.
            data: The dataset it works on; a module needs it, an ONNX file does without.
            loss: For fine-tuning: a callable of (outputs, targets).
            metric: Key of a metric to score it by, or a callable of (outputs, targets).

        Returns:
            A run that every verb accepts, with the score of the exported file in `.metrics`.
        """
        dataset = None if data is None else resolve.resolve_data(self.store, data)
        return importing.import_model(self.store, model, dataset, loss=loss, metric=metric)

    def evaluate(self, model: Any, data: Any = None, split: str = "val") -> dict[str, Any]:
        """Scores a model's ONNX file on a split, on the runtime that serves it.

        Args:
            model: A run, variant, version, study or ref.
            data: A dataset or ref; by default the one the model was made from.
            split: "train", "val" or "test".
        """
        found = resolve.resolve_model(self.store, model)
        dataset = resolve.resolve_data(self.store, data, found)
        evaluating.check_fit(found.description, dataset)
        export = exports.export_model(self.store, found, dataset)
        return evaluating.evaluate(export, dataset, split)

    def export(self, model: Any, path: Path | str | None = None, exporter: str = "onnx") -> Export:
        """Writes a model as ONNX, checked against the module it came from.

        Args:
            model: A run, variant, version, study or ref.
            path: Where to copy the file to; by default it stays in the workspace.
            exporter: Key of the exporter.

        Returns:
            The export, with `.path` and `.parity`.
        """
        found = resolve.resolve_model(self.store, model)
        dataset = None
        if found.artifact.kind != resolve.ONNX:
            dataset = resolve.resolve_data(self.store, None, found)
        done = exports.export_model(self.store, found, dataset, exporter)  # type: ignore[arg-type]
        return done if path is None else exports.copied(done, Path(path))

    def study(self, model: Any, data: Any = None, *, metric: str | None = None) -> Study:
        """Opens the compression study of a model on its data; the same pair is the same study.

        Args:
            model: A run, version or ref; or the ref of a study.
            data: A dataset or ref; by default the one the model was made from.
            metric: What scores are; by default the first of the task. Another makes another study.

        Returns:
            The study, with `.baseline` measured, `.measure(recipe)`, `.variants`, `.front()`.
        """
        if isinstance(model, str) and model.startswith("study:"):
            opened = flow_studies.open_study(self.store, parse_ref(model).name, inline=self.inline)
            return opened if metric is None else opened.scored_by(metric)
        found = resolve.resolve_model(self.store, model)
        dataset = resolve.resolve_data(self.store, data, found)
        return flow_studies.make_study(
            self.store, found, dataset, metric=metric, inline=self.inline
        )

    def compress(
        self,
        model: Any,
        data: Any = None,
        *,
        max_drop: float = 0.01,
        max_size: str | float | None = None,
        max_latency_ms: float | None = None,
        minimize: str = "size_bytes",
        budget: str | float = "60 s",
        metric: str | None = None,
    ) -> Variant:
        """Returns the best compressed variant of a model: study and search in one.

        Args:
            model: A run, version, study or ref; or a model of your own: a `torch.nn.Module` or an
                ONNX file, which is imported first and then needs `data`.
            data: A dataset or ref; by default the one the model was made from.
            max_drop: Largest accepted loss of the score, absolute: 0.01 is one point of accuracy.
            max_size: Largest accepted file, as "60 kB" or in bytes; None for any.
            max_latency_ms: Largest accepted latency; None for any.
            minimize: "size_bytes" or "latency_ms".
            budget: Wall time of the search, as "60 s" or in seconds.
            metric: What scores are; by default the first of the task.

        Returns:
            The variant, with `.score`, `.confirmed` on unseen samples, `.path`, and
            `.found.words`: what was found and, if no variant keeps all limits, which one binds.

        Raises:
            InputError: With everything that is wrong with the limits.
        """
        if resolve.is_own(model):
            model = self.import_model(model, data)
        return self.study(model, data, metric=metric).search(
            max_drop=max_drop,
            max_size=max_size,
            max_latency_ms=max_latency_ms,
            minimize=minimize,
            budget=budget,
        )

    def variant(self, ref: str) -> tuple[Study, Variant]:
        """Returns a variant by its ref, and the study it belongs to.

        Raises:
            NotFoundError: There is none.
        """
        found = flow_studies.find(self.store, parse_ref(ref))
        if not isinstance(found, Variant):
            raise InputError(f"'{ref}' is no variant.", hint="As in variant:1f1d7a02e3a7.")
        study = flow_studies.open_study(self.store, found.study_id, inline=self.inline)
        return study, found

    def register(self, model: Any, name: str) -> ModelVersion:
        """Makes a signed, numbered version of a variant, a run or an imported model.

        Registering the same thing twice under one name gives the same version.
        """
        check_name(name, what="a model")
        found = resolve.resolve_model(self.store, model)
        dataset = None
        if found.data is not None:
            dataset = resolve.resolve_data(self.store, None, found)
        export = exports.export_model(self.store, found, dataset)  # type: ignore[arg-type]
        manifest = manifest_of(self.store, found, export, dataset)
        return self._version(self.store.models.register(name, manifest))

    def promote(
        self,
        name: str,
        version: Any,
        alias: str = "champion",
        force: bool = False,
        *,
        expected: int | None = None,
        why: str = "",
    ) -> ModelVersion:
        """Points an alias at a version; endpoints that follow the alias switch to it.

        Args:
            name: The model.
            version: A version, its number or its ref.
            alias: The alias.
            force: Also if a rollback revoked this version for this alias.
            expected: The number that you believe the alias points at; checked if given.
            why: The reason, for the audit log.

        Raises:
            ConflictError: The alias points elsewhere than `expected`.
            StateError: The version was revoked for this alias.
        """
        number = self._number(name, version)
        found = self.store.models.promote(
            name, number, alias, force=force, expected=expected, reason=why
        )
        return self._version(found)

    def rollback(self, name: str, alias: str = "champion", *, why: str = "") -> ModelVersion:
        """Takes an alias back to the version before and revokes the one it pointed at.

        `why` is kept in the audit log.
        """
        return self._version(self.store.models.rollback(name, alias, reason=why))

    def verify(self, ref: Any) -> ModelVersion:
        """Re-hashes a version's manifest and files, checks its signature and the audit log.

        Raises:
            IntegrityError: Something is not what was registered, or it was deleted since.
        """
        self.store.audit.verify()
        version = self.store.models.resolve(ref if isinstance(ref, str) else ref.ref)
        return self._version(self.store.models.verify(version))

    def version(self, ref: str) -> ModelVersion:
        """Returns the version a ref such as "model:digits@champion" points at."""
        return self._version(self.store.models.resolve(ref))

    def models(self) -> list[ModelVersion]:
        """Returns all versions of all models."""
        models = self.store.models
        return [self._version(v) for name in models.names() for v in models.versions(name)]

    def serve(self, model: Any, **options: Any) -> Endpoint:
        """Starts an endpoint in a process of its own on 127.0.0.1; it is ready when this returns.

        Args:
            model: A version's ref (an alias is followed), a variant, a run or an ONNX file.
            options: `name`, `port` and others of the endpoint.

        Returns:
            The endpoint, with `.url`, `.token`, `.predict(inputs)` and `.stop()`.
        """
        return flow_endpoint.serve(self.store, self.servable(model), **options)

    def servable(self, model: Any) -> str:
        """Returns the ref or file by which an endpoint's process finds a model, exporting it."""
        if isinstance(model, str) and model.startswith("model:"):
            return model
        if resolve.looks_like_file(model):
            return str(model)
        found = resolve.resolve_model(self.store, model)
        if found.ref.startswith("model:"):
            return found.ref
        dataset = None
        if found.artifact.kind != resolve.ONNX:
            dataset = resolve.resolve_data(self.store, None, found)
        done = exports.export_model(self.store, found, dataset)  # type: ignore[arg-type]
        return f"artifact:{done.artifact.digest}"

    def endpoint(self, ref: str) -> Endpoint:
        """Returns a running endpoint by its ref, its id or the name of a model it serves.

        Raises:
            NotFoundError: None such runs.
        """
        return flow_endpoint.find(self.store, ref)

    def endpoints(self) -> list[Endpoint]:
        """Returns the endpoints that run now, whichever process started them."""
        return flow_endpoint.running(self.store)

    def run(self, ref: str) -> Run:
        """Re-attaches to a run by its ref."""
        name = parse_ref(ref).name if is_ref(ref) else ref
        return Run(self.store, self.store.runs.get(name).id)

    def runs(self, kind: str | None = None) -> list[Run]:
        """Returns the runs, newest first."""
        return [Run(self.store, record.id) for record in self.store.runs.list(kind)]

    def delete(self, ref: str, *, force: bool = False) -> None:
        """Deletes a version or an ended run; its files go with `gc`.

        Args:
            ref: A version as `model:name@3`, or a run.
            force: Also a version that a running endpoint serves by its number.

        Raises:
            StateError: An alias points at the version, an endpoint serves it, or the run has not
                ended.
        """
        parsed = parse_ref(ref)
        if parsed.kind == "model" and parsed.selector and parsed.selector.isdecimal():
            number = version_number(parsed.selector)
            if not force:
                refuse_if_served(self.store, parsed.name, number)
            self.store.models.delete(parsed.name, number)
        elif parsed.kind == "run":
            self._delete_run(parsed.name)
        else:
            raise InputError(
                f"'{ref}' cannot be deleted.", hint="Give a version (model:name@3) or a run."
            )

    def gc(self, *, dry_run: bool = False, accept_loss: bool = False) -> dict[str, int]:
        """Removes files that nothing needs, and what ended processes left behind.

        Needed is what a version, run, study, dataset or running endpoint refers to.

        Args:
            dry_run: Only tells what would go.
            accept_loss: Where records are gone or broken for good, so that what is needed cannot
                be known: names each in the audit log as "lose", forgets it and goes on. A version
                is never forgotten: it stays listed, as broken.

        Returns:
            How many files and bytes were (or would be) freed; how many left-overs of ended
            processes (scratch files, folders and discovery files of endpoints) with their bytes;
            and how many files stay only since a running endpoint serves them ("in_use").
        """
        return tidy(self.store, dry_run=dry_run, accept_loss=accept_loss)

    def _remembered(self, kind: str, config: dict[str, Any], inputs: dict[str, str]) -> Run:
        """Returns the batch step done before with the same content, or does or resumes it."""
        key = digest_json({"step": kind, "config": config, "data": inputs["data"]})
        known = self.store.cache.get(key)
        if known is not None and self.store.runs.has(known["run"]):
            run = Run(self.store, known["run"])
            if run.status == "succeeded":
                return run
            if run.status in ("interrupted", "cancelled", "created"):
                self.store.runs.restart(run.id)
                return run.run_inline()
        run = Run(self.store, self.store.runs.create(kind, config, inputs).id)
        self.store.cache.put(key, {"run": run.id})
        return run.run_inline()

    def _number(self, name: str, version: Any) -> int:
        if isinstance(version, int):
            return version
        if isinstance(version, str) and version.isdecimal():
            return version_number(version)
        found = self.store.models.resolve(version if isinstance(version, str) else version.ref)
        if found.name != name:
            raise InputError(
                f"{found.ref} is a version of '{found.name}', not of '{name}'"
                f"{did_you_mean(name, [found.name]) or '.'}"
            )
        return found.number

    def _version(self, version: Any) -> ModelVersion:
        return ModelVersion(self.store, version)

    def _delete_run(self, run_id: str) -> None:
        record = self.store.runs.get(run_id)
        if not record.is_finished:
            raise StateError(f"{record.ref} is {record.status}.", hint="Stop it first.")
        self.store.runs.delete(run_id)
