"""`workbench demo` from start to end, as the README promises it."""

import json
import subprocess
import sys

import workbench as wb

DEMO = [sys.executable, "-P", "-m", "workbench.flow.cli.main", "demo"]


def run_demo(folder, *options):
    done = subprocess.run(
        [*DEMO, *options], cwd=folder, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_demo_keeps_its_promises_and_the_second_time_repeats_nothing(tmp_path):
    shown = run_demo(tmp_path)
    assert shown.count("pt  ") >= 8
    assert "Registered, signed and promoted: model:digits-cnn@1 <champion>" in shown
    assert "workbench serve model:digits-cnn@champion" in shown

    space = wb.Workspace()
    study = space.study(space.runs("train")[0])
    champion = space.verify("model:digits-cnn@champion")
    assert len({v.recipe.split(":")[0] for v in study.variants}) >= 5
    assert champion.size_bytes <= 0.30 * study.baseline.size_bytes
    assert study.smallest(max_drop=0.01).recipe == champion.manifest["recipe"]
    assert space.evaluate(space.runs("train")[0], split="test")["accuracy"] >= 0.97

    page = (tmp_path / "reports" / "demo.html").read_text(encoding="utf-8")
    assert len(page) <= 5_000_000
    assert champion.manifest["recipe"] in page
    assert 'src="http' not in page
    assert space.endpoints() == []

    again = json.loads(run_demo(tmp_path, "--json"))
    assert again["version"] == "model:digits-cnn@1"
    assert len(space.runs("train")) == 1
