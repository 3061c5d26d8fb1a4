"""Every verb takes a record or its ref, and waits for what is unfinished."""

import pandas as pd
import pytest

import workbench as wb


def test_every_verb_takes_a_record_or_its_ref(ready):
    space = ready.space
    study = space.study(ready.run, ready.data)
    variant = study.measure("half:fp16")
    version = space.register(variant, "数字")
    assert space.register(variant.ref, "数字").ref == version.ref == "model:数字@1"
    for thing in (ready.run, variant, version, study):
        by_record = space.evaluate(thing)
        assert by_record["accuracy"] > 0.8
        assert space.evaluate(thing.ref, ready.data.ref) == by_record
        exported = space.export(thing)
        assert space.export(thing.ref).artifact.digest == exported.artifact.digest
    assert space.evaluate(f"{ready.run.ref}/model") == space.evaluate(ready.run)
    assert space.promote("数字", version).ref == version.ref
    for number in ("1", 1, version.ref, "model:数字@champion"):
        assert space.promote("数字", number).number == 1
    assert space.verify(version).ref == space.verify("model:数字@champion").ref
    assert space.study("model:数字@1").ref != study.ref
    assert space.study(study.ref).ref == study.ref


def test_an_unfinished_run_is_waited_for(ready):
    run = wb.train(ready.data, "mlp", epochs=2, threads=1)
    assert wb.evaluate(wb.run(run.ref))["accuracy"] > 0.2
    assert run.status == "succeeded"


def test_an_export_goes_where_it_is_asked_to(ready, tmp_path):
    done = ready.space.export(ready.run, tmp_path / "模型 1" / "digits.onnx")
    assert done.path.read_bytes()
    assert done.path.parent.name == "模型 1"
    (tmp_path / "file").touch()
    with pytest.raises(wb.InputError, match="cannot be written"):
        ready.space.export(ready.run, tmp_path / "file" / "digits.onnx")
    run = ready.space.import_model(done.path, ready.data)
    assert run.metrics["val_accuracy"] == ready.space.evaluate(ready.run)["accuracy"]


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        ("digits.onnx", "import_model"),
        (42, "Give a run"),
        ("dataset:digits", "is no model"),
        ("modle:digits", "did you mean 'model'"),
        ("run:nothing", "No run 'nothing'"),
        ("variant:abcdef", "No variant 'abcdef'"),
        ("study:nothing", "No study 'nothing'"),
        ("model:nothing", "No model 'nothing'"),
    ],
)
def test_what_is_no_model_is_said_with_what_would_be(ready, thing, words):
    with pytest.raises(wb.WorkbenchError, match=words):
        ready.space.evaluate(thing)


def test_parts_and_data_that_do_not_fit_are_said(ready):
    space = ready.space
    with pytest.raises(wb.InputError, match="modle"):
        space.evaluate(f"{ready.run.ref}/modle")
    with pytest.raises(wb.InputError, match="Load it first"):
        space.train("digits.csv")
    wine = space.load(
        "table", frame=pd.DataFrame({"x": range(30), "y": ["a", "b"] * 15}), target="y"
    )
    with pytest.raises(wb.InputError) as caught:
        space.evaluate(ready.run, wine)
    assert "(1, 8, 8), not (1,)" in str(caught.value)
    with pytest.raises(wb.InputError, match="test"):
        space.evaluate(ready.run, split="tset")


def test_a_version_of_another_model_is_not_promoted(ready):
    space = ready.space
    space.register(ready.run, "digits")
    with pytest.raises(wb.InputError, match="did you mean 'digits'"):
        space.promote("digit", "model:digits@1")
    with pytest.raises(wb.NotFoundError, match="digits"):
        space.promote("digits", 7)
