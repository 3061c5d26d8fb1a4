"""Networks for export tests, with BatchNorm statistics as after training."""

from __future__ import annotations

import torch
from torch import nn

from workbench.core.records import Description
from workbench.core.signature import Signature, TensorSpec


def description(shape: tuple[int, ...] = (1, 8, 8), outputs: int = 10) -> Description:
    return Description(
        "classification",
        "logits",
        tuple(map(str, range(outputs))),
        Signature(
            (TensorSpec("input", "float32", ("batch", *shape)),),
            (TensorSpec("output", "float32", ("batch", outputs)),),
        ),
    )


class Scaled(nn.Module):
    """(x − mean) / std, then a network, as every trained model has it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor([8.0]))
        self.register_buffer("std", torch.tensor([4.0]))

    def forward(self, x):
        return self.net((x - self.mean) / self.std)


class Branching(nn.Module):
    """Goes one of two ways by the data, which no tracing exporter can keep."""

    def forward(self, x):
        flat = x.flatten(1)[:, :10]
        if flat.sum() > 0:
            return flat
        return flat * 0.5 + 1.0


class Numpy(nn.Module):
    def forward(self, x):
        values = x.flatten(1).detach().numpy()
        return [str(values[0])]


class Softened(nn.Module):
    """Its weight reaches the file only through a softmax, folded to a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(10, 64, generator=torch.manual_seed(0)))

    def forward(self, x):
        return x.flatten(1) @ torch.softmax(self.weight, 0).T


def conv_net() -> nn.Module:
    torch.manual_seed(0)
    return as_trained(
        Scaled(
            nn.Sequential(
                nn.Conv2d(1, 8, 3, padding=1),
                nn.BatchNorm2d(8),
                nn.ReLU(),
                nn.Conv2d(8, 8, 3, padding=1, bias=False),
                nn.BatchNorm2d(8),
                nn.ReLU(),
                nn.BatchNorm2d(8),
                nn.Flatten(),
                nn.Linear(512, 16, bias=False),
                nn.BatchNorm1d(16, affine=False),
                nn.ReLU(),
                nn.Linear(16, 10),
            )
        )
    )


def as_trained(module: nn.Module) -> nn.Module:
    """Gives every BatchNorm statistics and scales of its own."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.copy_(torch.randn(part.running_mean.shape, generator=generator))
            part.running_var.copy_(torch.rand(part.running_var.shape, generator=generator) + 0.5)
            if part.affine:
                with torch.no_grad():
                    part.weight.copy_(torch.rand(part.weight.shape, generator=generator) + 0.5)
                    part.bias.copy_(torch.randn(part.bias.shape, generator=generator))
    return module.eval()
