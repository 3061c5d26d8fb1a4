import asyncio
import threading

import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running, wait_for
from workbench.core.errors import OverloadedError
from workbench.core.signature import Signature, TensorSpec
from workbench.serving.batching import Batcher, BatchLimits
from workbench.serving.engine import batches_faithfully, example_inputs, is_batchable
from workbench.serving.engines import ENGINES
from workbench.serving.service import Settings

ROW = Signature(
    (TensorSpec("x", "float32", ("batch", 2)),), (TensorSpec("y", "float32", ("batch", 2)),)
)


class Gated:
    """Doubles its input, but only while the gate is open; remembers the rows of each run."""

    signature = ROW

    def __init__(self):
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.runs: list[int] = []
        self.is_closed = False

    def predict(self, inputs):
        self.entered.set()
        self.gate.wait(20)
        self.runs.append(len(inputs["x"]))
        if np.any(inputs["x"] == 13):
            raise ValueError("13")
        return {"y": inputs["x"] * 2}

    def close(self):
        self.is_closed = True


def rows(*values):
    return {"x": np.asarray([[value, value] for value in values], np.float32)}


def batched(work, **options):
    """Runs `work(model, batcher)` on an event loop."""

    async def main():
        model = Gated()
        batcher = Batcher(model, can_batch=True, limits=BatchLimits(**options))
        batcher.start("test")
        try:
            return await work(model, batcher)
        finally:
            model.gate.set()
            await batcher.close()

    return asyncio.run(main())


def submit(batcher, inputs):
    future = asyncio.get_running_loop().create_future()
    job = batcher.submit(inputs, len(inputs["x"]), future.set_result)
    return future, job


async def blocked(model, batcher):
    """Sends one request into the model and leaves it there."""
    model.gate.clear()
    first, _ = submit(batcher, rows(0))
    await asyncio.to_thread(model.entered.wait, 20)
    return first


def test_what_waits_is_run_together_and_each_gets_its_own():
    async def work(model, batcher):
        first = await blocked(model, batcher)
        futures = [submit(batcher, rows(*range(n)))[0] for n in (1, 2, 3)]
        model.gate.set()
        jobs = await asyncio.gather(*futures)
        await first
        assert model.runs == [1, 6]
        for n, job in zip((1, 2, 3), jobs, strict=True):
            assert job.outputs["y"][:, 0].tolist() == [2 * i for i in range(n)]
            assert job.batch_rows == 6

    batched(work)


def test_a_lone_request_is_never_held_back_for_more():
    async def work(model, batcher):
        for value in range(5):
            future, _ = submit(batcher, rows(value))
            assert (await future).outputs["y"][0, 0] == 2 * value
        assert model.runs == [1] * 5

    batched(work)


def test_a_batch_stays_within_its_rows():
    async def work(model, batcher):
        await blocked(model, batcher)
        futures = [submit(batcher, rows(*range(n)))[0] for n in (3, 3, 9, 1)]
        model.gate.set()
        await asyncio.gather(*futures)
        assert model.runs == [1, 3, 3, 9, 1]

    batched(work, rows=4)


def test_a_bad_request_does_not_harm_its_neighbours():
    async def work(model, batcher):
        await blocked(model, batcher)
        futures = [submit(batcher, rows(value))[0] for value in (1, 13, 2)]
        model.gate.set()
        one, bad, two = await asyncio.gather(*futures)
        assert one.outputs["y"][0, 0] == 2
        assert two.outputs["y"][0, 0] == 4
        assert bad.outputs is None
        assert bad.error.code == "model_failed"

    batched(work)


def test_other_shapes_are_not_mixed():
    async def work(model, batcher):
        await blocked(model, batcher)
        wide = {"x": np.ones((1, 5), np.float32)}
        futures = [submit(batcher, item)[0] for item in (rows(1), wide, rows(2))]
        model.gate.set()
        jobs = await asyncio.gather(*futures)
        assert [job.outputs["y"].shape for job in jobs] == [(1, 2), (1, 5), (1, 2)]

    batched(work)


def test_a_full_queue_refuses_and_recovers():
    async def work(model, batcher):
        first = await blocked(model, batcher)
        waiting = submit(batcher, rows(1))[0]
        with pytest.raises(OverloadedError, match="2 requests"):
            submit(batcher, rows(2))
        model.gate.set()
        await asyncio.gather(first, waiting)
        assert (await submit(batcher, rows(3))[0]).outputs["y"][0, 0] == 6

    batched(work, queue=2)


def test_work_whose_caller_is_gone_is_not_done():
    async def work(model, batcher):
        await blocked(model, batcher)
        _, gone = submit(batcher, rows(1))
        kept, _ = submit(batcher, rows(2))
        gone.is_dropped = True
        model.gate.set()
        await kept
        assert model.runs == [1, 1]
        assert gone.outputs is None

    batched(work)


def test_a_request_that_waited_too_long_is_refused():
    async def work(model, batcher):
        await blocked(model, batcher)
        late, _ = submit(batcher, rows(1))
        batcher.limits = BatchLimits(wait_s=0.0)
        model.gate.set()
        assert (await late).error.code == "overloaded"

    batched(work)


def test_closing_first_answers_what_is_queued():
    async def main():
        model = Gated()
        batcher = Batcher(model, can_batch=True)
        batcher.start("test")
        await blocked(model, batcher)
        waiting, _ = submit(batcher, rows(1))
        closing = asyncio.ensure_future(batcher.close())
        model.gate.set()
        await closing
        assert waiting.done()
        assert model.is_closed

    asyncio.run(main())


def load(path):
    engine = ENGINES.get("onnx")
    return engine.load(path, engine.Config())


def test_only_models_whose_rows_do_not_touch_are_batched(digits_file, square_file, folder):
    assert batches_faithfully(load(digits_file))
    assert not batches_faithfully(load(square_file))
    mixing = load(models.save_digits(folder / "dynamic.onnx", is_dynamic=True))
    assert is_batchable(mixing.signature)
    assert not batches_faithfully(mixing)


def test_made_up_inputs_fit_any_signature():
    specs = [
        TensorSpec(dtype, dtype, ("n", "length", 3))
        for dtype in ("float32", "float16", "int64", "uint8", "bool", "str")
    ]
    made = example_inputs(Signature(tuple(specs), ()), 2)
    assert {value.shape for value in made.values()} == {(2, 4, 3)}
    assert made["float16"].dtype == np.float16


def test_many_callers_share_runs_and_each_gets_its_own_answer(endpoint):
    from concurrent.futures import ThreadPoolExecutor

    from workbench.serving.client import Client

    _, test, _, _ = models.digits()
    client = Client(endpoint.url, endpoint.token, "数字")
    alone = [client.predict(digit)[0].label for digit in test[:64]]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda d: client.predict(d)[0].label, list(test[:64]) * 3))
    assert together == alone * 3


def test_over_http_a_full_queue_is_503_with_a_time_to_come_back():
    from workbench.serving.decoding import TensorDecoder
    from workbench.serving.served import Loaded, Source

    model = Gated()
    source = Source("gated", "1", None, None, "gated")
    loaded = [Loaded(source, model, True, TensorDecoder(ROW))]
    settings = Settings(batch=BatchLimits(queue=1))
    with running(settings=settings, loaded=loaded) as found:
        model.gate.clear()
        waiting = threading.Thread(
            target=found.http.post, args=("/predict",), kwargs={"json": [1, 2]}
        )
        waiting.start()
        assert model.entered.wait(20)
        answer = wait_for(lambda: found.http.post("/predict", json=[1, 2]))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert 'code="overloaded"} 1' in found.http.get("/metrics").text
        model.gate.set()
        waiting.join()
        assert found.http.post("/predict", json=[1, 2]).status_code == 200


def test_a_model_that_fails_on_one_input_still_answers_others(folder):
    path = models.save_broken_above(folder / "fragile.onnx")
    with running(path) as found:
        bad = found.http.post("/predict", json=[101.0, 0.0])
        assert bad.status_code == 500
        assert bad.json()["code"] == "model_failed"
        assert found.http.post("/predict", json=[1.0, 2.0]).status_code == 200
