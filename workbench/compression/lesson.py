"""The lesson of a distillation: a student that hears its teacher, and their loss. Imports torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from workbench.core.errors import UnsupportedError
from workbench.core.records import Task
from workbench.engine.losses import default_loss


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
        task: Classification: KL divergence at `temperature`, times its square. Regression: squared
            distance, in units of the targets' spread.
        temperature: Softens both outputs.
        soft: Weight of the teacher's answers.
        features: Weight of the squared distance of features, in units of the teacher's spread.
    """

    def __init__(
        self, pupil: Pupil, task: Task, *, temperature: float, soft: float, features: float
    ) -> None:
        self._pupil = pupil
        self._task = task
        self._hard = default_loss(task, pupil.student)
        self._temperature, self._soft, self._features = temperature, soft, features

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the loss; in evaluation that of the task alone."""
        hard = self._hard(outputs, targets)
        taught = self._pupil.soft
        if taught is None:
            return hard
        loss = (1 - self._soft) * hard + self._soft * self._distance(outputs, taught)
        if self._pupil.adapter is not None:
            wanted = self._pupil.seen["teacher"]
            given = self._pupil.adapter(self._pupil.seen["student"])
            spread = wanted.var().clamp_min(torch.finfo(wanted.dtype).eps)
            loss = loss + self._features * functional.mse_loss(given, wanted) / spread
        return loss

    def _distance(self, outputs: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
        if self._task == "regression":
            spread = getattr(self._pupil.student, "target_std", None)
            return functional.mse_loss(outputs, taught) / (1.0 if spread is None else spread**2)
        return soft_cross_entropy(outputs, taught, self._temperature)


def soft_cross_entropy(
    outputs: torch.Tensor, taught: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Returns T² · KL(softmax(taught/T) ‖ softmax(outputs/T)), mean over the batch."""
    wanted = functional.log_softmax(taught / temperature, dim=1)
    given = functional.log_softmax(outputs / temperature, dim=1)
    divergence = functional.kl_div(given, wanted, reduction="batchmean", log_target=True)
    return divergence * temperature**2


def _last(module: nn.Module) -> nn.Linear:
    found = [part for part in module.modules() if isinstance(part, nn.Linear)]
    if not found:
        raise UnsupportedError(
            "There is no affine layer whose inputs could be taught.", hint="Leave 'features' at 0."
        )
    return found[-1]
