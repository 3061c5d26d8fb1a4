"""An endpoint, running: each command does what its line of Python does, and no token is shown."""

from __future__ import annotations

import base64
import json
import re

import pytest

from workbench.screens.endpoint import EndpointScreen


@pytest.fixture
def endpoint(road):
    served = road.workspace.serve(road.version)
    yield served
    served.stop()


@pytest.fixture
def screen(road, endpoint):
    made = EndpointScreen(road.workspace, endpoint)
    yield made
    made.close()


def good(answer):
    assert "error" not in answer, answer
    return answer


def test_a_sample_is_asked_as_one_line_of_python_does(road, screen, in_python):
    good(screen.do("try_sample"))
    same = in_python(screen.code, data=road.data)
    assert screen.answer["label"] == same[0].words
    shown, asked = dict(screen.answer["scores"]), same[0].scores
    assert shown == pytest.approx({name: asked[name] for name in shown}, rel=1e-5)
    json.dumps(screen.state(), allow_nan=False)
    good(screen.do("again"))
    assert screen.answer["label"] == same[0].words


def test_what_cannot_be_asked_is_an_error(screen):
    error = screen.do("try_file", {"name": "a.png", "data": "*"})["error"]
    assert "no base64" in error["message"]
    text = base64.b64encode(b"no picture").decode()
    assert screen.do("try_file", {"name": "a.png", "data": text})["error"]["message"]
    assert screen.do("try_row", {"row": {"x": 1}})["error"]["message"]


def test_tokens_are_told_to_the_caller_alone(road, endpoint, screen):
    assert good(screen.do("token"))["reply"] == {"token": endpoint.token}
    asked = {"name": "guest", "scope": "predict", "expires": "1 h", "rate": 5}
    made = good(screen.do("add_token", asked))["reply"]
    assert made["made"] == "guest"
    assert [grant["name"] for grant in screen.tokens] == [g.name for g in endpoint.tokens()]
    text = json.dumps(screen.state())
    assert endpoint.token not in text
    assert made["token"] not in text
    good(screen.do("revoke_token", {"name": "guest"}))
    assert "guest" not in [grant.name for grant in endpoint.tokens()]


def test_traffic_is_set_as_one_line_of_python_does(road, endpoint, screen, in_python):
    wanted = {"weights": {"1": 100}, "shadow": None, "budget": {"errors": 0.5}}
    good(screen.do("traffic", wanted))
    asked = endpoint.traffic().traffic.to_json()
    line = screen.code
    good(screen.do("traffic_clear"))
    assert not endpoint.traffic().traffic.to_json()["weights"]
    in_python(line)
    assert endpoint.traffic().traffic.to_json() == asked


def test_an_endpoint_is_started_and_stopped(road, screen):
    good(screen.do("serve", {"ref": road.version.ref}))
    started = screen.facts["selected"]["ref"]
    assert re.fullmatch(r'wb\.serve\("model:[^"]+"\)', screen.code)
    assert started in [e.ref for e in road.workspace.endpoints()]
    good(screen.do("stop"))
    assert started not in [e.ref for e in road.workspace.endpoints()]
    assert screen.facts["selected"] is None
    assert "does not run" in screen.do("select", {"ref": started})["error"]["message"]
