from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.compression.trained import cnn_study, digits, network
from workbench.compression.lesson import DistillationLoss, Pupil
from workbench.compression.study import StudyEngine
from workbench.core.errors import UnsupportedError
from workbench.exporting.graph import initializers
from workbench.tasks.losses import soft_cross_entropy


def logits(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(5, 10)).astype(np.float32) * 3


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def divergence(given: np.ndarray, wanted: np.ndarray, temperature: float) -> float:
    p, q = softmax(wanted / temperature), softmax(given / temperature)
    return float((p * np.log(p / q)).sum(axis=1).mean() * temperature**2)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_loss_is_that_of_the_paper(temperature):
    given, wanted = logits(0), logits(1)
    got = soft_cross_entropy(torch.from_numpy(given), torch.from_numpy(wanted), temperature)
    assert float(got) == pytest.approx(divergence(given, wanted, temperature), rel=1e-5)


def test_both_losses_and_features_are_weighed():
    torch.manual_seed(0)
    student, teacher = (
        nn.Sequential(nn.Linear(6, 3)),
        nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3)),
    )
    pupil = Pupil(student, teacher, features=True)
    loss = DistillationLoss(pupil, "classification", temperature=2.0, soft=0.7, features=0.5)
    inputs, targets = torch.randn(4, 6), torch.tensor([0, 2, 1, 1])
    outputs = pupil.train()(inputs)
    got = float(loss(outputs, targets).detach())
    given, wanted = outputs.detach().numpy(), teacher(inputs).detach().numpy()
    hard = -np.log(softmax(given)[np.arange(4), targets.numpy()]).mean()
    hidden = teacher[0](inputs).detach().numpy()
    mapped = pupil.adapter(inputs).detach().numpy()
    features = ((mapped - hidden) ** 2).mean() / hidden.var(ddof=1)
    expected = 0.3 * hard + 0.7 * divergence(given, wanted, 2.0) + 0.5 * features
    assert got == pytest.approx(float(expected), rel=1e-4)
    unseen = pupil.eval()(inputs).detach()
    assert float(loss(unseen, targets)) == pytest.approx(float(hard), rel=1e-5)
    assert not any(parameter is teacher[0].weight for parameter in pupil.parameters())


def test_the_student_is_half_as_wide_and_nearly_as_good():
    study = cnn_study()
    variant = study.measure("distill:0.5,epochs=12")
    assert variant.size_bytes < 0.35 * study.baseline().size_bytes
    assert variant.score > study.baseline().score - 0.03
    widths = [
        layer.out_channels
        for layer in study.build("distill:0.5,epochs=12").module.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    assert widths == [8, 8, 16, 16]


def test_the_teacher_stays_as_it_was_and_the_student_is_found_again():
    study = cnn_study()
    before = study.build("baseline")
    first = study.build("distill:0.5,features=1,epochs=1")
    again = StudyEngine(study.store, study.model, study.dataset).build(
        "distill:0.5,features=1,epochs=1"
    )
    assert again.graph.SerializeToString() == first.graph.SerializeToString()
    for name, value in first.module.state_dict().items():
        np.testing.assert_array_equal(again.module.state_dict()[name].numpy(), value.numpy())
    assert initializers(study.build("baseline").graph).keys() == initializers(before.graph).keys()
    assert before.module.training is False


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("distill:1", "cannot be made smaller"),
        ("distill:0.5,family=mpl", "did you mean 'mlp'"),
    ],
)
def test_what_gives_no_smaller_network_is_refused(recipe, words):
    with pytest.raises(UnsupportedError, match=words):
        cnn_study().build(recipe)


def test_a_student_larger_than_the_model_is_refused():
    small = StudyEngine(cnn_study().store, network("cnn", 1, width=2), digits())
    with pytest.raises(UnsupportedError, match="the model has"):
        small.build("distill:1,family=mlp")


@pytest.mark.full
def test_depth_and_family_can_be_chosen():
    study = cnn_study()
    shallow = study.build("distill:1,depth=0.5,epochs=1").module
    assert sum(isinstance(part, nn.Conv2d) for part in shallow.modules()) == 2
    deep = StudyEngine(study.store, network("resnet", 1, depth=14), digits())
    short = deep.build("distill:1,depth=0.6,epochs=1").module
    assert sum(isinstance(part, nn.Conv2d) for part in short.modules()) == 9
    other = study.build("distill:0.25,family=mlp,epochs=1").module
    assert [part.out_features for part in other.modules() if isinstance(part, nn.Linear)] == [
        32,
        16,
        10,
    ]


def test_single_layers_are_refused():
    study = cnn_study()
    name = study.build("baseline").layers[0].name
    with pytest.raises(UnsupportedError, match="single layers"):
        study.build({name: "distill:0.5"})


def test_students_are_pruned_and_quantized():
    study = cnn_study()
    variant = study.build("distill:0.5,epochs=1 + prune_structured:0.25,epochs=1 + quantize_static")
    assert [row["method"] for row in variant.history] == ["distill", "prune_structured"]
    assert variant.format == "int8"
