"""Static int8 with known ranges: a ResNet-20 on 800 images, a ResNet-50's shape, its memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.benchmarks.figure import Figure, median_of
from workbench.compression.study import StudyEngine
from workbench.data import load
from workbench.exporting.graph import save_graph
from workbench.flow.workspace import Workspace
from workbench.runtime.memory import track_peak
from workbench.runtime.session import open_session

_TIMES = 3
_IMAGES, _SIDE = 24, 224
_FEW = "quantize_static:8,samples=8"
_BLOCKS = ((3, 64), (4, 128), (6, 256), (3, 512))


def figures(folder: Path) -> Iterator[Figure]:
    """Yields the figures."""
    torch.set_num_threads(1)
    space = Workspace(folder, inline=True)
    yield from _of_resnet20(space)
    yield from _of_resnet50(space, folder.parent)


def _of_resnet20(space: Workspace) -> Iterator[Figure]:
    data = space.load("digits", split=(0.45, 0.4452, 0.1048))
    run = space.train(data, "resnet", epochs=1, threads=1, depth=20)
    study = space.study(run, data)
    study.measure("quantize_static")

    def again() -> float:
        for table, text in (("cache", "json_extract(value, '$.recipe')"), ("variants", "recipe")):
            space.store.db.execute(f"DELETE FROM {table} WHERE {text} = 'quantize_static:8'")
        return _seconds(lambda: study.measure("quantize_static"))

    name = f"static int8 ResNet-20 on {len(data.val)} images, measured"
    yield Figure(name, median_of(again, _TIMES), "CPU-s", 0.4)


def _of_resnet50(space: Workspace, folder: Path) -> Iterator[Figure]:
    images = np.random.default_rng(0).integers(0, 256, (_IMAGES, _SIDE, _SIDE, 3), np.uint8)
    data = load(
        space.store, "arrays", inputs=images, targets=np.arange(_IMAGES) % 4, modality="image",
        split=(0.5, 0.25, 0.25), seed=0,
    )  # fmt: skip
    torch.manual_seed(0)
    module = ResNet50().eval()
    run = space.import_model(module, data)
    model = space.store.artifacts.get(run.outputs["model"])
    engine = StudyEngine(space.store, model, data)
    path = folder / "resnet50.onnx"
    save_graph(engine.build("").graph, path)
    size = path.stat().st_size
    engine.build(_FEW)  # exported and calibrated

    def requantized() -> float:
        return _seconds(lambda: save_graph(engine.build(_FEW).graph, path))

    yield Figure("a ResNet-50's shape requantized", median_of(requantized, _TIMES), "CPU-s", 2.5)
    batch = data.val.batch(np.arange(1))[0]
    with track_peak() as peak:
        save_graph(engine.build(_FEW).graph, path)
        open_session(path).run(batch)
    if peak.above_idle_bytes is not None:
        share = (peak.above_idle_bytes - batch.nbytes) / size
        yield Figure("memory above idle for that, and one batch", share, "× model", 3.0)


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


class ResNet50(nn.Module):
    """Bottleneck blocks 3-4-6-3 (He et al. 2016, arXiv:1512.03385, Table 1), random weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        blocks, channels = [], 64
        for stage, (count, width) in enumerate(_BLOCKS):
            for index in range(count):
                blocks.append(_Bottleneck(channels, width, 2 if stage and not index else 1))
                channels = 4 * width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(channels, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.stem(images)).mean((2, 3)))


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(channels, width, 1), nn.ReLU(),
            _convolution(width, width, 3, stride), nn.ReLU(), _convolution(width, 4 * width, 1),
        )  # fmt: skip
        is_same = channels == 4 * width and stride == 1
        self.way = nn.Identity() if is_same else _convolution(channels, 4 * width, 1, stride)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(values) + self.way(values))


def _convolution(before: int, after: int, size: int, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(before, after, size, stride, size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after))
