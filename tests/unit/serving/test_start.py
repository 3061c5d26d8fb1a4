"""What an endpoint loads to start: only what it will use; the rest when it is asked for."""

import gc
import json
import subprocess
import sys

from workbench.serving.process import main

BUILT = """
import sys
from workbench.serving import launch, single
from workbench.serving.options import parse, parser
options = parse(parser().parse_args(sys.argv[1:]))
launch.build(options, launch.find_place(options), "a-token-of-some-length")
unused = (
    "cryptography", "urllib.request", "jwt", "grpc", "google.protobuf", "PIL", "numpy.random",
    "workbench.runtime.latency", "workbench.data.sources.csv", "torch", "pandas",
)
print([name for name in unused if name in sys.modules])
"""
LIGHT = """
import sys, workbench.serving.process
print([name for name in ("numpy", "pydantic", "asyncio") if name in sys.modules])
"""


def said(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_an_endpoint_for_a_file_loads_nothing_that_it_does_not_use(digits_file, tmp_path):
    assert said(BUILT, digits_file, "--home", tmp_path / "none").strip() == "[]"


def test_the_first_module_loads_nothing_so_that_it_decides_how_the_others_are():
    assert said(LIGHT).strip() == "[]"


def test_collecting_garbage_is_on_again_however_the_start_ends(tmp_path, capsys):
    assert main([str(tmp_path / "none.onnx"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "not_found"
    assert gc.isenabled()
