"""Distillation: a smaller student learns the model's answers beside the true ones.

loss = (1 - soft) · CE(student, target) + soft · T² · KL(teacher/T ‖ student/T), after Hinton et al.
2015, arXiv:1503.02531; for regression the squared distance to the teacher's values takes the place
of KL. With `features`, the input of the student's last layer also learns to give the teacher's, by
a linear map that is thrown away (Romero et al. 2015, FitNets, arXiv:1412.6550).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from workbench.compression.method import Restructured, StructureMethod
from workbench.core import optional
from workbench.core.config import Config
from workbench.core.errors import UnsupportedError, WorkbenchError
from workbench.core.lazy import lazy

if TYPE_CHECKING:
    from workbench.compression import fine_tuning, students
    from workbench.compression.subject import Layer, Subject
    from workbench.compression.tools import Tools
else:
    fine_tuning = lazy("workbench.compression.fine_tuning")
    students = lazy("workbench.compression.students")

_FOR = "distillation"


class DistillConfig(Config):
    """Options of `distill`."""

    width: float = Field(
        0.5, gt=0, le=1, description="Share of the channels and hidden units the student has"
    )
    depth: float = Field(
        1.0, gt=0, le=1, description="Share of the layers (stages, blocks) the student has"
    )
    family: str | None = Field(
        None, description="Family of the student; by default the model's own"
    )
    temperature: float = Field(4.0, gt=0, le=100, description="Softens both outputs")
    soft: float = Field(
        0.7, ge=0, le=1, description="Weight of the model's answers; the targets have the rest"
    )
    features: float = Field(
        0.0, ge=0, le=100, description="Weight of the last layer's inputs; 0 leaves them out"
    )
    epochs: int = Field(20, ge=1, le=1000, description="Passes over the training split")
    lr: float = Field(3e-3, gt=0, le=1, description="Highest learning rate")


class Distill(StructureMethod):
    """See the module's docstring."""

    summary = "trains a smaller network of the same (or another) family on the model's answers"
    requires = ("torch",)
    trains = True
    Config = DistillConfig

    def supports(self, subject: Subject, config: DistillConfig) -> str | None:
        """Needs the module, and a family that can be made smaller."""
        reason = super().supports(subject, config)
        if reason is not None:
            return reason
        try:
            _plan(subject, config)
        except WorkbenchError as error:
            return " ".join([error.message, *error.problems])
        return None

    def change_structure(
        self, subject: Subject, layers: tuple[Layer, ...], config: DistillConfig, tools: Tools
    ) -> Restructured:
        """Builds the student from the seed and trains it on the train split."""
        if len(layers) < len(subject.layers):
            raise UnsupportedError(
                "'distill' makes a new network, so it cannot be asked for single layers.",
                hint="Write it for all layers: 'distill:0.5'.",
            )
        planned = _plan(subject, config)
        student = students.build(planned, subject, tools)
        before, after = students.parameters(subject.module), students.parameters(student)
        if after >= before:
            raise UnsupportedError(
                f"The student would have {after} parameters, the model has {before}.",
                hint="Ask for less width or depth, as in 'distill:0.25'.",
            )
        lesson = optional.require("workbench.compression.lesson", for_=_FOR)
        pupil = lesson.Pupil(student, subject.module, features=config.features > 0)
        loss = lesson.DistillationLoss(
            pupil,
            tools.data.task,
            temperature=config.temperature,
            soft=config.soft,
            features=config.features,
        )
        fine_tuning.fine_tune(
            pupil, tools, config.epochs, config.lr, "training the student", loss=loss
        )
        pupil.leave()
        note = (
            f"student {planned['kind']} with {after} of {before} parameters, "
            f"trained for {config.epochs} epochs"
        )
        return Restructured(student.eval(), students.record(planned, subject, tools), (note,))

    def rebuild(self, module: Any, history: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
        """Returns a student with the recorded options and `module`'s normalisation."""
        return students.rebuild(history, module, shape)


def _plan(subject: Subject, config: DistillConfig) -> dict[str, Any]:
    return students.plan(subject, config.width, config.depth, config.family)


PLUGIN = Distill()
