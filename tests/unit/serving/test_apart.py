"""What the reading process reads is what the event loop would; and it may die at any time."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from tests.unit.serving import models
from tests.unit.serving.fuzzing_rpc import answer_of
from tests.unit.serving.harness import running, wait_for
from workbench.core.errors import InputError, OverloadedError, UnexpectedError
from workbench.core.signature import Signature, TensorSpec
from workbench.serving import reading
from workbench.serving.apart import Apart, Work, process
from workbench.serving.apart.process import Patience, ReadingProcess
from workbench.serving.errors import TooLargeError
from workbench.serving.jsonbody import is_heavy
from workbench.serving.service import Settings

ROWS = 20_000
PAIR = Signature((TensorSpec("x", "float32", ("n", 2)),), (TensorSpec("y", "float32", ("n", 2)),))


@pytest.fixture(scope="module")
def found(digits_source, pair_file, folder):
    echo = models.save_echo(folder / "echo.onnx")
    with running(digits_source, pair_file, echo, settings=Settings(grpc_port=0)) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def pairs():
    chance = np.random.default_rng(0)
    x = chance.standard_normal((ROWS, 2)).astype(np.float32)
    return x, chance.integers(-9, 9, (ROWS, 2))


def v2(x, count):
    tensors = [
        {"name": name, "shape": list(value.shape), "datatype": kind, "data": value.tolist()}
        for name, value, kind in (("x", x, "FP32"), ("count", count, "INT64"))
    ]
    return {"id": "7", "inputs": tensors, "outputs": [{"name": "product"}]}


def ask(found, path, value):
    body = json.dumps(value).encode()
    assert is_heavy(body)
    answer = found.http.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text[:500]
    return answer.json()


def test_a_large_v2_request_is_answered_in_full(found, pairs):
    said = ask(found, "/v2/models/pair/infer", v2(*pairs))
    (output,) = said["outputs"]
    assert (said["id"], output["name"]) == ("7", "product")
    wanted = pairs[0] * pairs[1].astype(np.float32)
    np.testing.assert_array_equal(
        np.reshape(output["data"], output["shape"]).astype(np.float32), wanted
    )


def test_a_large_request_in_rows_and_columns_is_answered_in_full(found, pairs):
    x, count = pairs[0].tolist(), pairs[1].tolist()
    path = "/v1/models/pair:predict"
    columns = ask(found, path, {"inputs": {"x": x, "count": count}})["outputs"]
    rows = [{"x": one, "count": other} for one, other in zip(x, count, strict=True)]
    in_rows = ask(found, path, {"instances": rows})["predictions"]
    assert [row["sum"] for row in in_rows] == columns["sum"]
    assert len(in_rows) == ROWS


@pytest.mark.parametrize(
    ("path", "key"), [("/predict/数字", "inputs"), ("/predictions/数字", "data")]
)
def test_many_samples_of_a_modality_are_decoded_as_few_are(found, path, key):
    _, test, _, _ = models.digits()
    many = np.concatenate([test] * 4).tolist()
    few = found.http.post(path, json={key: many[:20]}).json()
    said = ask(found, path, {key: many})
    few, said = (value["predictions"] if key == "inputs" else value for value in (few, said))
    assert said[:20] == few
    assert len(said) == len(many)


@pytest.mark.parametrize("first", [None, "filename"])
def test_a_large_field_of_a_form_is_read_apart(found, monkeypatch, first):
    _, test, _, _ = models.digits()
    value = json.dumps(np.concatenate([test] * 4).tolist())
    fields = {**({} if first is None else {first: "1"}), "inputs": value}
    start = "--b\r\nContent-Disposition: form-data; name="
    parts = [f'{start}"{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()]
    body = "".join([*parts, "--b--\r\n"])
    monkeypatch.setattr(reading, "parse_json", lambda body: pytest.fail("it was read here"))
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = found.http.post("/predict/数字", content=body.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == 4 * len(test)


def test_many_texts_in_bytes_come_back(found):
    texts = [f"text {place}" for place in range(ROWS)]
    raw = b"".join(len(t).to_bytes(4, "little") + t.encode() for t in texts)
    size = {"binary_data_size": len(raw)}
    tensor = {"name": "text", "shape": [ROWS], "datatype": "BYTES", "parameters": size}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"inference-header-content-length": str(len(head))}
    answer = found.http.post("/v2/models/echo/infer", content=head + raw, headers=headers)
    assert answer.json()["outputs"][0]["data"] == texts


def test_a_large_message_over_grpc_is_answered_in_full(found, pairs):
    message = service_pb2.ModelInferRequest(model_name="pair", id="7")
    for name, value, kind, field in (
        ("x", pairs[0], "FP32", "fp32_contents"),
        ("count", pairs[1], "INT64", "int64_contents"),
    ):
        tensor = message.inputs.add(name=name, datatype=kind, shape=value.shape)
        getattr(tensor.contents, field).extend(value.ravel().tolist())
    data = answer_of(found.service.grpc_port, found.token, message.SerializeToString())
    said = service_pb2.ModelInferResponse.FromString(data)
    assert said.id == "7"
    assert list(said.outputs[0].shape) == [ROWS, 2]
    wanted = (pairs[0] + pairs[1].astype(np.float32)).ravel().tolist()
    assert list(said.outputs[0].contents.fp32_contents) == wanted


def test_what_is_wrong_with_a_large_request_is_told(found, pairs):
    body = v2(*pairs)
    body["inputs"][0]["name"] = "y"
    answer = found.http.post("/v2/models/pair/infer", json=body)
    assert answer.status_code == 400
    assert "the model has no such input" in answer.text


# the process -------------------------------------------------------------------------------


def work(body: bytes) -> Work:
    return Work("rows", PAIR, body)


GOOD = work(b'{"inputs": [[1, 2]]}')


@pytest.fixture(scope="module")
def apart():
    made = Apart()
    yield made
    asyncio.run(made.close())


def read(apart, what=GOOD):
    return asyncio.run(apart.read(what))


def test_nothing_is_started_before_it_is_needed():
    idle = Apart()
    assert pids_of(idle) == []
    asyncio.run(idle.close())


def pids_of(apart):
    return [process.pid for process in (*apart._free, *apart._busy)]


def test_errors_are_those_of_the_dialect(apart):
    with pytest.raises(InputError, match="do not fit"):
        read(apart, work(b'{"inputs": {"z": 1}}'))
    pids = pids_of(apart)
    assert read(apart).inputs["x"].shape == (1, 2)
    assert pids_of(apart) == pids, "an error is no reason for another process"


def test_a_defect_is_told_as_one(apart):
    with pytest.raises(UnexpectedError, match="KeyError"):
        read(apart, Work("unknown", PAIR, b""))


def test_a_process_that_died_is_replaced(apart):
    read(apart)
    for pid in pids_of(apart):
        os.kill(pid, signal.SIGKILL)
    assert read(apart).inputs["x"].shape == (1, 2)


HASTY = Patience(idle_s=1.0)


def test_a_process_that_is_stopped_is_replaced_and_the_body_read_again():
    apart = Apart()
    read(apart)
    (held,) = apart._free
    held._patience, stopped = HASTY, held.pid  # who takes its place may start as slowly as it must
    os.kill(stopped, signal.SIGSTOP)
    assert read(apart).inputs["x"].shape == (1, 2)
    assert stopped not in pids_of(apart)
    wait_for(lambda: not _is_alive(stopped))
    asyncio.run(apart.close())


def forever(monkeypatch, code):
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-c", code))


STOPPED = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"


@pytest.mark.parametrize("code", ["raise SystemExit(3)", STOPPED])
def test_a_process_that_cannot_start_is_told_as_no_fault_of_the_body(monkeypatch, code):
    forever(monkeypatch, code)
    with pytest.raises(OverloadedError, match="did not answer") as refused:
        read(Apart(HASTY))
    assert refused.value.context["retry_after_s"] == 1


READY = "import sys; from workbench.serving.apart.work import write; write(sys.stdout.buffer, {})"


def test_a_body_that_takes_too_much_time_is_its_callers_fault(monkeypatch):
    forever(monkeypatch, f"{READY}\nwhile True: pass")
    with pytest.raises(TooLargeError, match="could not be read in"):
        read(Apart(Patience(idle_s=5.0, work_s=0.5)))


def test_a_slow_body_holds_up_no_other(monkeypatch, apart):
    async def both():
        slow = asyncio.create_task(apart.read(Work("rows", PAIR, b"")))
        return await asyncio.wait_for(apart.read(GOOD), 20), slow

    taken = []
    real = ReadingProcess.ask

    def ask(self, what):
        taken.append(self)
        if not what.body:
            wait_for(lambda: len(taken) > 1 and taken[1] not in apart._busy)
        return real(self, what)

    monkeypatch.setattr(ReadingProcess, "ask", ask)
    found, _ = asyncio.run(both())
    assert found.inputs["x"].shape == (1, 2)


def test_closing_ends_a_process_that_was_stopped_at_its_start(monkeypatch):
    forever(monkeypatch, STOPPED)
    apart = Apart()

    async def asked_and_closed():
        asked = asyncio.create_task(apart.read(GOOD))
        while not apart._busy:
            await asyncio.sleep(0)
        (pid,) = pids_of(apart)
        await apart.close()
        with pytest.raises(OverloadedError):
            await asked
        return pid

    pid = asyncio.run(asked_and_closed())
    wait_for(lambda: not _is_alive(pid))


def test_it_ends_with_its_caller():
    code = """
import asyncio, os, sys
from workbench.core.signature import Signature
from workbench.serving.apart import Apart, Work
apart = Apart()
try:
    asyncio.run(apart.read(Work("rows", Signature((), ()), b"{}")))
except Exception as error:
    sys.stdout.write(str(apart._free[0].pid))
sys.stdout.flush()
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    wait_for(lambda: not _is_alive(pid))


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_many_callers_are_read_one_after_the_other(apart):
    async def all_of_them():
        return await asyncio.gather(*(apart.read(GOOD) for _ in range(20)))

    assert len(asyncio.run(all_of_them())) == 20
    assert apart._crew._threads <= 2
