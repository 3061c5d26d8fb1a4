"""Requests made up from /openapi.json, valid and not: what comes back is as described, never a 500.

Left out, since it would leave nothing to ask, or nobody who may: unloading, and revoking tokens.
What goes together cannot be said in JSON Schema: which body belongs to the model in the path, how
many values a shape needs. So that valid bodies are accepted is tested in `test_openapi`, by model.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.serving.open_inference import document

COMMAND = Path(sys.executable).with_name("schemathesis")


def run(endpoint, folder, *options):
    """Runs the tool against an endpoint; returns its words and whether all is well."""
    words = [str(COMMAND), "run", f"{endpoint.url}/openapi.json", *options]
    words += ["--header", f"Authorization: Bearer {endpoint.token}", "--seed", "1"]
    words += ["--exclude-checks", "positive_data_acceptance", "--generation-database", "none"]
    words += ["--exclude-path", "/v2/repository/models/{model}/unload"]
    words += ["--exclude-path", "/manage/tokens/{name}"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, cwd=folder)
    return done.stdout + done.stderr, done.returncode == 0


def test_what_comes_back_is_as_described(endpoint, tmp_path):
    said, is_well = run(endpoint, tmp_path, "--phases", "examples")
    assert is_well, said
    paths = endpoint.http.get("/openapi.json").json()["paths"]
    count = sum(map(len, paths.values()))
    assert f"{count - 2} selected / {count} total" in said


@pytest.mark.full
def test_what_comes_back_is_as_described_in_full(endpoint, tmp_path):
    said, is_well = run(endpoint, tmp_path, "--max-examples", "50")
    assert is_well, said


@pytest.mark.full
@pytest.mark.parametrize("model", ["square", "pair", "digits"])
def test_the_open_inference_protocol_is_spoken_as_its_document_says(endpoint, tmp_path, model):
    path = tmp_path / "open_inference_rest.json"
    path.write_text(json.dumps(document(model, "1")))
    words = [str(COMMAND), "run", str(path), "--url", endpoint.url, "--max-examples", "100"]
    words += ["--header", f"Authorization: Bearer {endpoint.token}", "--seed", "1"]
    words += ["--exclude-checks", "positive_data_acceptance", "--generation-database", "none"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 selected / 6 total" in done.stdout
