"""The lesson of a distillation: a student that hears its teacher, and their loss. Imports torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from workbench.core.errors import UnsupportedError
from workbench.engine.losses import default_loss, target_std
from workbench.tasks import TASKS


class Pupil(nn.Module):
    """A student beside its teacher: in training mode, both answer. The teacher is never trained.

    Args:
        student: Is trained.
        teacher: Answers in evaluation mode.
        features: Whether the inputs of both last affine layers are kept too.

    Attributes:
        soft: The teacher's outputs for the last training batch; None in evaluation.
        seen: The student's last inputs, mapped to the teacher's size, and the teacher's.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, *, features: bool) -> None:
        super().__init__()
        self.student = student
        self._teacher = (teacher.eval(),)  # a tuple hides it from parameters() and train()
        self.soft: torch.Tensor | None = None
        self.seen: dict[str, torch.Tensor] = {}
        self._hooks: list[Any] = []
        self.adapter: nn.Module | None = self._adapter(student, teacher) if features else None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the student's outputs."""
        self.soft = None
        if self.training:
            with torch.no_grad():
                self.soft = self._teacher[0](inputs)
        outputs: torch.Tensor = self.student(inputs)
        return outputs

    def leave(self) -> None:
        """Takes off what watched the two networks."""
        for hook in self._hooks:
            hook.remove()

    def _adapter(self, student: nn.Module, teacher: nn.Module) -> nn.Module:
        last = {"student": _last(student), "teacher": _last(teacher)}
        for name, layer in last.items():
            self._hooks.append(layer.register_forward_pre_hook(self._keeper(name)))
        return nn.Linear(last["student"].in_features, last["teacher"].in_features)

    def _keeper(self, name: str) -> Any:
        def keep(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            self.seen[name] = inputs[0]

        return keep


class DistillationLoss:
    """(1 - soft) · the task's loss + soft · distance to the teacher + features · their distance.

    Args:
        pupil: Holds the teacher's answers to the batch.
        task: Key of the task, which knows the distance of two answers.
        temperature: Softens both outputs.
        soft: Weight of the teacher's answers.
        features: Weight of the squared distance of features, in units of the teacher's spread.
    """

    def __init__(
        self, pupil: Pupil, task: str, *, temperature: float, soft: float, features: float
    ) -> None:
        self._pupil = pupil
        self._hard = default_loss(task, pupil.student)
        self._taught = TASKS.get(task).teaching(temperature, target_std(pupil.student))
        self._soft, self._features = soft, features

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the loss; in evaluation that of the task alone."""
        hard = self._hard(outputs, targets)
        taught = self._pupil.soft
        if taught is None:
            return hard
        loss = (1 - self._soft) * hard + self._soft * self._taught(outputs, taught)
        if self._pupil.adapter is not None:
            wanted = self._pupil.seen["teacher"]
            given = self._pupil.adapter(self._pupil.seen["student"])
            spread = wanted.var().clamp_min(torch.finfo(wanted.dtype).eps)
            loss = loss + self._features * functional.mse_loss(given, wanted) / spread
        return loss


def _last(module: nn.Module) -> nn.Linear:
    found = [part for part in module.modules() if isinstance(part, nn.Linear)]
    if not found:
        raise UnsupportedError(
            "There is no affine layer whose inputs could be taught.", hint="Leave 'features' at 0."
        )
    return found[-1]
