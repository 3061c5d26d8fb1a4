import subprocess
import sys
import threading

import pytest

from workbench.core.errors import CancelledError, IntegrityError, NotFoundError, StateError
from workbench.core.host import FileLock
from workbench.store import RunContext


@pytest.fixture
def run(store):
    return store.runs.create("train", {"epochs": 3}, {"data": "abc"})


def test_a_run_without_its_process_is_interrupted(store, run):
    assert run.status == "created"
    with FileLock(store.runs.lock_path(run.id)):
        store.runs.start(run.id)
        assert store.runs.get(run.id).status == "running"
    assert store.runs.get(run.id).status == "interrupted"


def test_a_run_whose_process_died_before_it_began_is_interrupted(store, run):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        store.runs.worked_on_by(run.id, process.pid)
        assert store.runs.get(run.id).status == "created"
        process.kill()
    assert store.runs.get(run.id).status == "interrupted"
    store.runs.restart(run.id)
    assert store.runs.get(run.id).status == "created"


def test_metrics_and_outputs_are_merged(store, run):
    store.runs.add_metrics(run.id, {"a": 1.0})
    store.runs.add_metrics(run.id, {"b": 2.0})
    store.runs.add_output(run.id, "model", "d1")
    record = store.runs.get(run.id)
    assert record.metrics == {"a": 1.0, "b": 2.0}
    assert record.outputs == {"model": "d1"}


def test_an_ended_run_takes_no_control(store, run):
    store.runs.finish(run.id, "succeeded")
    with pytest.raises(StateError, match="succeeded"):
        store.runs.set_control(run.id, "pause")
    with pytest.raises(NotFoundError, match="workbench runs"):
        store.runs.get("nothing")


def test_pause_blocks_until_resume_and_stop_ends(store, run):
    with FileLock(store.runs.lock_path(run.id)):
        store.runs.start(run.id)
        paused, resumed = threading.Event(), threading.Event()
        signals = {"paused": paused, "resumed": resumed}
        context = RunContext(
            store.runs, run.id, lambda kind, _: signals[kind].set() if kind in signals else None
        )
        steps = threading.Thread(target=_work_until_stopped, args=(context,))
        steps.start()
        store.runs.set_control(run.id, "pause")
        assert paused.wait(10)
        assert store.runs.get(run.id).status == "paused"
        store.runs.set_control(run.id, "run")
        assert resumed.wait(10)
        store.runs.set_control(run.id, "stop")
        steps.join(10)
        assert not steps.is_alive()
        context.close()


def _work_until_stopped(context):
    with pytest.raises(CancelledError):
        while True:
            context.check()


def test_what_was_changed_while_it_ran_is_not_sealed_anew(store):
    run = store.runs.create("train", {"epochs": 1}, {})
    store.db.execute("UPDATE runs SET config = '{\"epochs\": 100}'")
    with pytest.raises(IntegrityError, match=f"run:{run.id} was changed"):
        store.runs.add_metrics(run.id, {"val_accuracy": 1.0})
    with pytest.raises(IntegrityError, match="was changed"):
        store.runs.proven(run.id)
    assert store.runs.get(run.id).config == {"epochs": 100}, "it can still be looked at"
