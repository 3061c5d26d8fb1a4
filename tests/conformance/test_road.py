"""Every modality with every task, family, exporter and method, on the plug-ins' own tiny samples.

What does not fit together is refused in words, never by a stack trace and never in silence.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from tests.conformance.test_methods import recipe_of
from workbench.compression import METHODS
from workbench.core.errors import UnsupportedError
from workbench.data.collected import Collected, Reader, no_progress
from workbench.data.modalities import MODALITIES
from workbench.data.prepare import prepare
from workbench.data.source import SourceConfig
from workbench.exporting.exporters import EXPORTERS
from workbench.exporting.graph import save_graph
from workbench.families import FAMILIES
from workbench.flow.workspace import Workspace
from workbench.runtime.session import open_session
from workbench.tasks import TASKS

pytestmark = pytest.mark.full
COUNT = 20
OWN = "own module"


def targets_of(task, modality):
    """The task's examples that have as many places as the modality's samples."""
    found = task.examples(COUNT, np.random.default_rng(0))
    return [one for one in found if one.axes in (0, modality.place_axes)]


def cases():
    for modality in MODALITIES:
        for task in TASKS:
            fitting = targets_of(TASKS.get(task), MODALITIES.get(modality))
            for number in range(len(fitting)):
                yield from ((modality, task, number, family) for family in (*FAMILIES, OWN))


class Given(Reader):
    """Samples of a modality with targets of a task."""

    def __init__(self, modality, task, number):
        self.name = f"{modality}-{task}-{number}"
        self._parts = modality, task, number

    def fingerprint(self, progress):
        return hashlib.sha256(self.name.encode()).hexdigest()

    def collect(self, progress):
        modality, key, number = self._parts
        shape, samples = sample_shape(modality), examples(modality)
        task, plugin = TASKS.get(key), MODALITIES.get(modality)
        example = targets_of(task, plugin)[number]
        values = example.values
        if example.axes:
            places = shape[len(shape) - example.axes :]
            values = np.resize(values, (COUNT, *np.shape(values)[1 : -example.axes], *places))
        given = task.targets(values, example.labels, lambda i: f"sample {i}", example.axes)
        assert not given.problems
        return Collected(
            modality=modality,
            task=key,
            labels=given.labels,
            samples=samples,
            targets=given.values,
            place=lambda i: f"sample {i}",
        )


def examples(modality):
    return MODALITIES.get(modality).examples(np.random.default_rng(0)).train


def sample_shape(modality):
    plugin = MODALITIES.get(modality)
    fitted, _ = plugin.fit(examples(modality), None, {})
    specs = plugin.signature(fitted)
    return specs[0].sample_shape if len(specs) == 1 else ()


class Own(nn.Module):
    """Takes any tensors; answers in the shape that a task wants."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.outputs = outputs
        self.fc = nn.Linear(len(inputs), int(np.prod(outputs[:1])))

    def forward(self, *inputs):
        flat = [x.float().unsqueeze(1).flatten(1).mean(1) for x in inputs]
        scores = self.fc(torch.stack(flat, 1))
        places = self.outputs[1:]
        return scores.reshape(*scores.shape, *[1] * len(places)).expand(-1, -1, *places)


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return Workspace(tmp_path_factory.mktemp("road") / ".workbench", inline=True)


def trained(space, data, family):
    """The trained model, or why the family does not fit."""
    if family != OWN:
        return space.train(data, family=family, epochs=1)
    shape = TASKS.get(data.task).output_shape(data.labels, data.train.targets.shape[1:])
    return space.train(data, Own(data.signature, shape), epochs=1)


def answers_of(engine, recipe, samples, folder):
    """What the model compressed so answers; None if the method says that it cannot."""
    try:
        subject = engine.build(recipe)
    except UnsupportedError:
        return None
    return open_session(save_graph(subject.graph, folder / "compressed.onnx")).run(samples)


@pytest.mark.parametrize(("modality", "task", "number", "family"), list(cases()))
def test_the_whole_road(space, tmp_path, modality, task, number, family):
    data = prepare(space.store, "road", SourceConfig(), Given(modality, task, number), no_progress)
    if family != OWN and FAMILIES.get(family).fits(data.signature, task) is not None:
        with pytest.raises(UnsupportedError, match=f"'{family}' cannot learn"):
            trained(space, data, family)
        return
    run = trained(space, data, family)
    for exporter in EXPORTERS:
        assert space.export(run, exporter=exporter).path.is_file()
    study = space.study(run, data)
    samples = data.val.batch(np.arange(len(data.val)))[0]
    shape = open_session(study.baseline.path).run(samples).shape
    engine = study._work.engine  # builds without measuring, which would take most of the time
    for key in METHODS:
        outputs = answers_of(engine, recipe_of(key), samples, tmp_path)
        assert outputs is None or outputs.shape == shape, key
    version = space.register(study.measure("prune:0.3"), f"{modality}-{task}")
    space.verify(version)
