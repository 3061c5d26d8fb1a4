"""Canary, sticky callers, shadow and budgets, as callers and the audit log see them."""

import math
import threading
from collections import Counter

import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.harness import running, wait_for
from tests.unit.serving.hostile import SHAPES, shaped
from workbench.core.errors import InputError, NotFoundError
from workbench.serving.budget import Watch
from workbench.serving.client import Client
from workbench.serving.infer_request import CallReader
from workbench.serving.manager import Manager
from workbench.serving.repository import load_source
from workbench.serving.service import Settings
from workbench.serving.sources import StoreRegistry, find_source
from workbench.serving.traffic import Budget, Traffic, parse_weights

NAME = "数字"
ZEROS = {"inputs": np.zeros((8, 8)).tolist()}
STRICT = {"errors": 0.1, "requests": 10}


@pytest.fixture
def versions(store, folder):
    """1 as trained, 2 always says the first label, 3 answers every request with an error."""
    for shift in (0.0, 1000.0, math.inf):
        path = models.save_digits(folder / f"v{shift}.onnx", shift=shift)
        models.register(store, NAME, path)
    store.models.promote(NAME, 1)
    store.models.promote(NAME, 2, "canary")
    return store


@pytest.fixture
def serve(versions, tmp_path):
    def run(ref=f"model:{NAME}@champion", **options):
        settings = Settings(poll_s=0.01, traffic=options.pop("traffic", {}))
        return running(
            loaded=[load_source(find_source(ref, versions))],
            settings=settings,
            registry=StoreRegistry(versions),
            folder=tmp_path,
            **options,
        )

    return run


@pytest.fixture
def found(serve):
    with serve() as endpoint:
        yield endpoint


def manager_of(found):
    return Manager(Client(found.url, found.token, NAME))


def set_traffic(found, **values):
    return manager_of(found).set_traffic(Traffic(**values))


def ask(found, **headers):
    return found.http.post(f"/predict/{NAME}", json=ZEROS, headers=headers)


def answered_by(found, count, **headers):
    return Counter(ask(found, **headers).json().get("version") for _ in range(count))


def entries(versions, action):
    return [entry for entry in versions.audit.entries() if entry.action == action]


def test_a_canary_gets_its_share_of_the_requests_in_every_dialect(found):
    report = set_traffic(found, weights={"champion": 80, "canary": 20})
    assert [(row.version, row.alias, row.share) for row in report.versions] == [
        ("1", "champion", 0.8),
        ("2", "canary", 0.2),
    ]
    shares = answered_by(found, 100)
    assert 19 <= shares["2"] <= 21
    zeros = np.zeros((1, 1, 8, 8)).tolist()
    for path, body in (
        (f"/v2/models/{NAME}/infer", None),
        (f"/v1/models/{NAME}:predict", {"instances": zeros}),
        (f"/predictions/{NAME}", {"data": np.zeros((8, 8)).tolist()}),
    ):
        if body is None:
            tensor = {"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": zeros}
            body = {"inputs": [tensor]}
        before = {row.version: row.requests for row in manager_of(found).traffic().versions}
        for _ in range(10):
            assert found.http.post(path, json=body).status_code == 200
        after = {row.version: row.requests for row in manager_of(found).traffic().versions}
        assert 1 <= after["2"] - before["2"] <= 3
    assert f'workbench_traffic_share{{model="{NAME}",version="2"}} 0.2' in (
        found.http.get("/metrics").text
    )


def test_a_version_in_the_path_is_not_split(found):
    set_traffic(found, weights={"canary": 1})
    assert found.http.post(f"/predict/{NAME}/champion", json=ZEROS).json()["version"] == "1"
    assert found.http.get(f"/predict/{NAME}").json()["version"] == "1"
    assert ask(found).json()["version"] == "2"


def test_a_sticky_caller_stays_and_more_weight_moves_callers_one_way_only(found):
    users = [f"user-{number}" for number in range(120)]

    def placed(canary):
        set_traffic(found, weights={"champion": 100 - canary, "canary": canary}, sticky="X-User")
        return {user: ask(found, **{"x-user": user}).json()["version"] for user in users}

    few = placed(20)
    assert few == placed(20)
    assert 10 <= list(few.values()).count("2") <= 40
    more = placed(50)
    assert {user for user in users if few[user] == "2"} < {u for u in users if more[u] == "2"}


def test_the_callers_token_can_be_the_key(found):
    set_traffic(found, weights={"champion": 50, "canary": 50}, sticky="caller")
    assert len(answered_by(found, 12)) == 1


def test_a_version_is_loaded_for_its_share_and_unloaded_after_it(found):
    assert found.http.get(f"/v2/models/{NAME}").json()["versions"] == ["1"]
    set_traffic(found, weights={"1": 3, "2": 1})
    assert found.http.get(f"/v2/models/{NAME}").json()["versions"] == ["1", "2"]
    assert manager_of(found).set_traffic(None).traffic == Traffic()
    assert found.http.get(f"/v2/models/{NAME}").json()["versions"] == ["1"]
    assert set(answered_by(found, 5)) == {"1"}


def test_a_version_that_was_only_behind_an_alias_keeps_its_share_when_the_alias_moves(
    found, versions
):
    versions.models.promote(NAME, 2)
    wait_for(lambda: ask(found).json()["version"] == "2")
    set_traffic(found, weights={"champion": 50, "2": 50})
    assert answered_by(found, 4) == {"2": 4}
    versions.models.rollback(NAME, "champion")
    wait_for(lambda: len(manager_of(found).traffic().versions) == 2)
    shares = {row.version: row.share for row in manager_of(found).traffic().versions}
    assert shares == {"1": 0.5, "2": 0.5}
    assert set(answered_by(found, 20)) == {"1", "2"}


def test_what_cannot_be_served_changes_nothing(found):
    set_traffic(found, weights={"champion": 1})
    with pytest.raises(NotFoundError, match="99"):
        set_traffic(found, weights={"canary": 1, "99": 1})
    assert found.http.get(f"/v2/models/{NAME}").json()["versions"] == ["1"]
    assert manager_of(found).traffic().traffic.weights == {"champion": 1}


def test_all_that_is_wrong_is_said_at_once(found):
    body = {"weights": {"a": -1}, "shadow_share": 2, "budget": {}, "stick": "x"}
    answer = found.http.put(f"/manage/traffic/{NAME}", json=body)
    assert answer.status_code == 422
    told = " ".join(answer.json()["problems"])
    for part in ("weights", "shadow_share", "budget", "did you mean 'sticky'"):
        assert part in told
    for wrong in ({"shadow": "a", "weights": {"a": 1}}, {"sticky": "a b"}, {"weights": {"a": 0}}):
        with pytest.raises(InputError):
            Traffic.parse(wrong, what="the traffic")
    assert parse_weights("champion=90, canary=10") == {"champion": 90, "canary": 10}
    with pytest.raises(InputError, match="canary"):
        parse_weights("champion=90,canary")


def test_only_a_managing_token_may_set_it(found):
    headers = {"authorization": f"Bearer {found.reader}"}
    answer = found.http.put(f"/manage/traffic/{NAME}", json={}, headers=headers)
    assert answer.status_code == 403
    assert found.http.get("/manage/traffic/other").status_code == 404


def test_it_is_kept_over_a_hot_swap_and_a_restart(serve, versions):
    with serve() as found:
        set_traffic(found, weights={"champion": 50, "canary": 50})
        versions.models.promote(NAME, 1, "canary")
        wait_for(lambda: set(answered_by(found, 6)) == {"1"})
        versions.models.promote(NAME, 2, "canary")
        wait_for(lambda: answered_by(found, 6)["2"])
    with serve() as found:
        assert manager_of(found).traffic().traffic.weights == {"champion": 50, "canary": 50}
        assert 9 <= answered_by(found, 20)["2"] <= 11
    with serve(traffic={NAME: Traffic(weights={"canary": 1})}) as found:
        assert set(answered_by(found, 5)) == {"2"}


def test_no_request_fails_while_traffic_changes(found):
    stop, answers, failures = threading.Event(), [], []

    def work():
        with Client(found.url, found.token, NAME) as client:
            while not stop.is_set():
                try:
                    answers.append(client.predict(np.zeros((1, 1, 8, 8), np.float32)))
                except Exception as error:  # noqa: BLE001 (any failure is one)
                    failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for share in (10, 90) * 3:
        set_traffic(found, weights={"champion": 100 - share, "canary": share}, shadow="1")
        set_traffic(found, weights={"champion": 1})
    wait_for(lambda: len(answers) > 50)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []


# shadow ------------------------------------------------------------------------------------


def row_of(found, alias):
    rows = manager_of(found).traffic().versions
    return next(row for row in rows if row.alias == alias)


def test_a_shadow_is_compared_and_never_answers(found):
    set_traffic(found, shadow="canary")
    _, test, _, targets = models.digits()
    with Client(found.url, found.token, NAME) as client:
        for digit in test[targets != 0][:6]:
            assert client.predict(digit)[0].label != "零"
    wait_for(lambda: sum(row_of(found, "canary").shadow.values()) == 6)
    row = row_of(found, "canary")
    assert (row.version, row.share) == ("2", 0)
    assert row.shadow["differed"] == 6
    assert row.max_difference == pytest.approx(1000, rel=0.01)
    page = found.http.get("/metrics").text
    labels = f'{{model="{NAME}",version="1",shadow="2",outcome="differed"}}'
    assert f"workbench_shadow_total{labels} 6" in page


def test_a_shadow_of_the_same_version_agrees(found, versions):
    versions.models.promote(NAME, 1, "twin")
    set_traffic(found, shadow="twin", shadow_share=0.5)
    assert set(answered_by(found, 20)) == {"1"}
    wait_for(lambda: 9 <= row_of(found, "twin").shadow["agreed"] <= 11)
    assert row_of(found, "twin").share == 0


def test_a_stuck_shadow_slows_nobody_and_copies_are_dropped(found):
    set_traffic(found, shadow="canary")
    shadow = found.service.router.find(NAME, "canary")
    gate = threading.Event()
    predict = shadow.batcher._model.predict
    shadow.batcher._model.predict = lambda inputs: (gate.wait(30), predict(inputs))[1]
    try:
        assert set(answered_by(found, 30)) == {"1"}
        assert row_of(found, "canary").shadow["dropped"] == 22
    finally:
        gate.set()
    assert wait_for(lambda: row_of(found, "canary").shadow["differed"] == 8)


# budgets -----------------------------------------------------------------------------------


def test_a_canary_that_fails_is_taken_back_with_its_reason_in_the_audit(serve, versions):
    with serve() as found:
        set_traffic(found, weights={"champion": 50, "3": 50}, budget=STRICT)
        statuses = Counter(ask(found).status_code for _ in range(60))
        assert 9 <= statuses[500] <= 12, statuses  # until the window held enough, then never
        (entry,) = wait_for(lambda: entries(versions, "serve_taken_back"))
        assert entry.subject == f"model:{NAME}@3"
        assert "were errors (100.0%); the budget allows 10.0%" in entry.data["reason"]
        report = manager_of(found).traffic()
        assert report.traffic.weights == {"champion": 50}
        assert report.taken_back["version"] == "3"
        wait_for(lambda: found.http.get(f"/v2/models/{NAME}").json()["versions"] == ["1"])
        page = found.http.get("/metrics").text
        assert f'workbench_taken_back_total{{model="{NAME}",version="3"}} 1' in page
    with serve() as found:
        assert set(answered_by(found, 10)) == {"1"}
        assert manager_of(found).traffic().taken_back["version"] == "3"


def test_a_promotion_that_fails_takes_its_alias_back(found, versions):
    set_traffic(found, budget=STRICT)
    assert set(answered_by(found, 15)) == {"1"}
    versions.models.promote(NAME, 3)
    wait_for(lambda: ask(found).status_code == 500)
    wait_for(lambda: ask(found).status_code == 200)
    assert versions.models.alias(NAME, "champion") == 1
    (entry,) = entries(versions, "rollback")
    assert "were errors" in entry.data["reason"]
    wait_for(lambda: entries(versions, "serve_taken_back"))


def test_with_nothing_to_go_back_to_it_is_only_noted(serve, versions):
    with serve(f"model:{NAME}@3") as found:
        set_traffic(found, budget=STRICT)
        for _ in range(15):
            assert ask(found).status_code == 500
        (entry,) = wait_for(lambda: entries(versions, "serve_over_budget"))
        assert entry.data["errors"] == 10


def test_what_never_reached_the_model_says_nothing_of_it(found, versions, monkeypatch):
    """Neither refused shapes nor our own defects in reading a caller's bytes move the registry."""
    versions.models.promote(NAME, 2)
    wait_for(lambda: set(answered_by(found, 1)) == {"2"})
    set_traffic(found, budget=STRICT)
    path = f"/v2/models/{NAME}/infer"
    for shape in SHAPES.values():
        answer = found.http.post(path, content=shaped(shape))
        assert answer.status_code == 400, answer.text
    monkeypatch.setattr(CallReader, "read", lambda reader, request: 1 // 0)
    assert {found.http.post(path, content=b"{}").status_code for _ in range(30)} == {500}
    monkeypatch.undo()
    assert set(answered_by(found, 20)) == {"2"}
    assert versions.models.alias(NAME, "champion") == 2
    assert not entries(versions, "rollback")


def test_numbers_that_overflow_are_the_callers_fault_and_move_nothing(found, versions):
    versions.models.promote(NAME, 2)
    wait_for(lambda: set(answered_by(found, 1)) == {"2"})
    set_traffic(found, budget=STRICT)
    signs = np.sign(models.digits_weights()[0][:, 0])
    data = np.where(signs == 0, 1, signs) * 3.4e38
    tensor = {"name": "input", "shape": [1, 1, 8, 8], "datatype": "FP32", "data": data.tolist()}
    for _ in range(30):
        answer = found.http.post(f"/v2/models/{NAME}/infer", json={"inputs": [tensor]})
        assert answer.status_code == 400, answer.text
        assert "as large as 3.4e+38" in answer.text
    assert set(answered_by(found, 20)) == {"2"}
    assert versions.models.alias(NAME, "champion") == 2


def test_neither_many_rows_nor_the_wait_behind_others_make_a_version_slow(found, versions):
    versions.models.promote(NAME, 2)
    wait_for(lambda: set(answered_by(found, 1)) == {"2"})
    set_traffic(found, budget={"latency_ms": 0.001, "requests": 10})
    rows = np.zeros((100, 1, 8, 8))
    tensor = {"name": "input", "shape": rows.shape, "datatype": "FP32"}
    body = {"inputs": [{**tensor, "data": rows.ravel().tolist()}]}
    for _ in range(20):
        assert found.http.post(f"/v2/models/{NAME}/infer", json=body).status_code == 200
    assert not entries(versions, "serve_over_budget")
    assert versions.models.alias(NAME, "champion") == 2


def test_a_breach_tells_how_many_callers_met_it():
    watch = Watch(Budget(errors=0.1, requests=50), Clock())
    for place in range(49):
        assert watch.observe(200, 0.001, f"caller {place % 5}") is None
    for _ in range(5):
        assert watch.observe(500, 0.001, "caller 3") is None
    breach = watch.observe(500, 0.001, "caller 4")
    assert (breach.callers, breach.met) == (5, 2)
    assert breach.reason.endswith("; 2 of 5 callers met it")


@pytest.mark.parametrize("status", [200, 500])
def test_one_of_several_callers_overspends_no_budget(status):
    """Whatever it sends: the registry is moved by what a share of the callers met."""
    watch = Watch(Budget(errors=0.02, latency_ms=50, requests=10), Clock())
    for _ in range(40):
        assert watch.observe(200, 0.001, "good") is None
    for _ in range(3000):
        assert watch.observe(status, 0.3, "evil") is None
    for _ in range(40):
        breach = watch.observe(status, 0.3, "good")
        if breach is not None:
            break
    assert breach.met == 2


def test_one_caller_alone_is_judged_by_the_number_of_its_requests():
    watch = Watch(Budget(errors=0.1, requests=10), Clock())
    found = [watch.observe(500, 0.001, "only") for _ in range(10)]
    assert found[:-1] == [None] * 9
    assert found[-1].reason.endswith("1 of 1 callers met it")


def test_of_many_callers_a_third_must_have_met_it():
    watch = Watch(Budget(errors=0.02, requests=10), Clock())
    for place in range(90):
        watch.observe(200, 0.001, place % 30)
    found = [watch.observe(500, 0.001, place) for place in range(10)]
    assert found[:-1] == [None] * 9
    assert (found[-1].callers, found[-1].met) == (30, 10)


def test_a_caller_counts_for_no_more_than_its_share_of_the_requests():
    watch = Watch(Budget(errors=0.5, requests=10, one_caller=0.25), Clock())
    for place in range(100):
        assert watch.observe(200, 0.001, place % 4) is None
    assert watch.observe(500, 0.001, "rare") is None
    for _ in range(200):  # two thirds of all requests, which count as less than half
        assert watch.observe(500, 0.001, 0) is None


def test_a_breach_of_latency_tells_who_waited():
    watch = Watch(Budget(latency_ms=50, slow=0.1, requests=10), Clock())
    for place in range(9):
        assert watch.observe(500, 0.001, place) is None
    for place in range(2):
        assert watch.observe(200, 0.06, place) is None
    assert watch.observe(200, 0.06, 2).reason.endswith("; 3 of 9 callers met it")


def test_callers_beyond_the_first_thousand_cost_no_more_memory():
    clock = Clock()
    watch = Watch(Budget(errors=0.1, requests=50), clock)
    for place in range(5000):
        watch.observe(200, 0.001, place)
    assert watch._callers(1) == (1000, 0)
    clock.now += 100
    watch.observe(200, 0.001, 0)
    assert watch._callers(1) == (1, 0)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_a_budget_counts_the_last_seconds_and_only_the_endpoints_own_faults():
    clock = Clock()
    watch = Watch(Budget(errors=0.2, window_s=60, requests=10), clock)
    for _ in range(8):
        assert watch.observe(500, 0.001) is None  # too few to judge
    clock.now += 70
    for status in (400, 404, 422, 429, 499, 504) * 10:
        assert watch.observe(status, 0.001) is None
    for _ in range(15):
        assert watch.observe(500, 0.001) is None  # 15 of 75: just within
    breach = watch.observe(503, 0.001)
    assert (breach.requests, breach.errors) == (76, 16)
    assert watch.observe(500, 0.001) is None  # told once


def test_a_latency_budget_is_a_share_of_slow_answers():
    watch = Watch(Budget(latency_ms=50, slow=0.05, requests=20), Clock())
    found = [watch.observe(200, 0.06 if place in (3, 30) else 0.01) for place in range(31)]
    assert found[:-1] == [None] * 30
    assert "2 of 31 requests in 60 s took longer than 50 ms (6.5%)" in found[-1].reason
