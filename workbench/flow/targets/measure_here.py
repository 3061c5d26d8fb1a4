"""Times the ONNX files in this folder on this machine.

Run it as `python measure_here.py`. Needs only numpy and onnxruntime. Writes
result.json, which `workbench bench import` takes.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

FORMAT = 1
BLOCKS, T_95 = 16, 2.131  # Student's t, two-sided 95 %, 15 degrees of freedom
FEWEST, MOST = 3, 60


def main() -> int:
    """Times all files in turns with the baseline and writes the result."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default=platform.node() or "target", help="name of this machine")
    parser.add_argument("--threads", type=int, default=1, help="threads inside an operator")
    parser.add_argument("--seconds", type=float, default=0.4, help="about how long for each file")
    parser.add_argument("--output", type=Path, default=here / "result.json")
    asked = parser.parse_args()
    index = json.loads((here / "study.json").read_text(encoding="utf-8"))
    with np.load(here / "inputs.npz", allow_pickle=False) as file:
        inputs = {name: file[name] for name in file.files}
    rows = index["variants"]
    base = opened(here / rows[0]["file"], asked.threads)
    figures = {}
    for row in rows:
        session = base if row is rows[0] else opened(here / row["file"], asked.threads)
        batch = {name: values[: index["batch"]] for name, values in inputs.items()}
        figure = timed(base, session, batch, asked.seconds)
        figure.update(checked(session, inputs, here / row["expected"]))
        figures[row["digest"]] = figure
        say(
            f"{figure['p50_ms']:9.3f} ms  x{figure['ratio']['value']:.2f}  "
            f"{100 * figure['agreement']:.1f} % same answers  {row['recipe']}"
        )
    result = {
        "format": FORMAT,
        "study": index["study"],
        "name": asked.name,
        "machine": machine(),
        "threads": asked.threads,
        "batch": index["batch"],
        "figures": figures,
    }
    asked.output.write_text(json.dumps(result, indent=2), encoding="utf-8")
    say(f"Written: {asked.output}")
    return 0


def opened(path: Path, threads: int) -> Any:
    """Returns a session with its threads pinned."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session: Any, batch: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the first output for the tensors of a batch by name."""
    output: np.ndarray = session.run([session.get_outputs()[0].name], batch)[0]
    return output


def timed(base: Any, session: Any, batch: dict[str, np.ndarray], seconds: float) -> dict[str, Any]:
    """Returns latency and its ratio to the baseline, measured in turns."""
    pair = [base, session]
    start = time.perf_counter_ns()
    for one in pair * 3:
        run(one, batch)
    one_round = max((time.perf_counter_ns() - start) / 3e9, 1e-7)
    runs = int(min(max(seconds / BLOCKS / one_round, FEWEST), MOST))
    ms = np.empty((2, BLOCKS, runs))
    for block in range(BLOCKS):
        for turn in range(runs):
            for place in range(2):
                which = (place + block + turn) % 2
                start = time.perf_counter_ns()
                run(pair[which], batch)
                ms[which, block, turn] = (time.perf_counter_ns() - start) / 1e6
    logs = np.log(np.median(ms[1], axis=1)) - np.log(np.median(ms[0], axis=1))
    half = T_95 * float(logs.std(ddof=1)) / math.sqrt(BLOCKS)
    center = float(logs.mean())
    p50, p95 = np.percentile(ms[1], [50, 95])
    ratio = {
        "value": math.exp(center),
        "low": math.exp(center - half),
        "high": math.exp(center + half),
    }
    return {"p50_ms": float(p50), "p95_ms": float(p95), "runs": int(ms[1].size), "ratio": ratio}


def checked(session: Any, inputs: dict[str, np.ndarray], expected: Path) -> dict[str, float]:
    """Returns how the answers agree with those of the machine that the file was made on."""
    wanted = np.load(expected, allow_pickle=False)
    got = run(session, inputs)
    error = float(np.abs(got.astype(np.float64) - wanted).max())
    same = error < 1e-3
    if got.ndim == 2 and got.shape[1] > 1:
        agreement = float((got.argmax(axis=1) == wanted.argmax(axis=1)).mean())
    else:
        agreement = 1.0 if same else 0.0
    return {"agreement": agreement, "max_error": error}


def machine() -> dict[str, Any]:
    """Returns what this machine says of itself."""
    name = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith(("model name", "hardware")):
                name = line.partition(":")[2].strip()
                break
    return {
        "cpu": name,
        "system": platform.platform(),
        "python": platform.python_version(),
        "onnxruntime": ort.__version__,
    }


def say(text: str) -> None:
    """Prints a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
