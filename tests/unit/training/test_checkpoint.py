import subprocess
import sys

import pytest
import torch

from workbench.core.errors import IntegrityError, StateError
from workbench.data import load
from workbench.store import NullContext
from workbench.training.checkpoint import FILE, load_checkpoint, resumable_state
from workbench.training.config import TrainConfig
from workbench.training.step import train

OPTIONS = {"family": "cnn", "epochs": 5, "threads": 1, "options": {"width": 4}}
KILLED = """
import os, signal, sys
from pathlib import Path
from workbench.data import load
from workbench.store import NullContext, open_store
from workbench.training.config import TrainConfig
from workbench.training.step import train

class Killed(NullContext):
    batches = 0
    def check(self):
        self.batches += 1
        if self.batches == 55:  # in the fourth epoch
            os.kill(os.getpid(), signal.SIGKILL)

home, directory, options = sys.argv[1:]
store = open_store(Path(home))
config = TrainConfig.model_validate_json(options)
train(Killed(Path(directory)), config, load(store, "digits", split=(.5, .25, .25)), store)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_after_kill_9_it_resumes_to_the_same_bits(store, tmp_path):
    config = TrainConfig(**OPTIONS)
    digits = load(store, "digits", split=(0.5, 0.25, 0.25))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    expected = train(NullContext(whole), config, digits, store)
    assert not (whole / FILE).exists()

    home = str(store.home.root)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, home, str(killed), config.model_dump_json()], check=False
    )
    assert done.returncode == -9
    assert 1 <= load_checkpoint(killed / FILE).state.epoch <= 3

    context = NullContext(killed)
    resumed = train(context, config, digits, store)
    assert resumed.artifact.digest == expected.artifact.digest
    assert resumed.metrics["val_accuracy"] == expected.metrics["val_accuracy"]
    assert resumed.metrics["epochs"] == 5
    logged = [data["step"] for kind, data in context.events if kind == "metrics"]
    assert logged[-1] == 5
    assert logged[0] > 1
    assert [row["train_loss"] for row in resumed.history] == [
        row["train_loss"] for row in expected.history
    ]


class Broken(NullContext):
    """A run whose process ends in its third epoch."""

    def log(self, step, **metrics):
        super().log(step, **metrics)
        if step == 3:
            raise KeyboardInterrupt


@pytest.fixture
def interrupted(store, tmp_path):
    digits = load(store, "digits")
    with pytest.raises(KeyboardInterrupt):
        train(Broken(tmp_path), TrainConfig(**OPTIONS), digits)
    return digits, tmp_path / FILE


def test_the_checkpoint_holds_tensors_and_json_only(interrupted):
    _, path = interrupted
    content = path.read_bytes()
    assert b"\x80\x04" not in content[:8]
    checkpoint = load_checkpoint(path)
    assert checkpoint.state.history[0]["train_loss"] > 0
    assert all(isinstance(t, torch.Tensor) for t in checkpoint.state.model.values())
    assert list(path.parent.glob("*.part")) == []


def test_other_options_or_data_do_not_resume_it(interrupted, store):
    digits, path = interrupted
    with pytest.raises(StateError, match="other options or other data"):
        train(NullContext(path.parent), TrainConfig(**{**OPTIONS, "epochs": 6}), digits)
    with pytest.raises(StateError, match="start a new run"):
        resumable_state(path, "something else")


def test_a_damaged_checkpoint_is_refused(interrupted):
    digits, path = interrupted
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IntegrityError, match="damaged"):
        train(NullContext(path.parent), TrainConfig(**OPTIONS), digits)
    assert load_checkpoint(path.with_name("none")) is None
