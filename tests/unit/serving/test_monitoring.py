"""Alerts and dashboard ask only for what an endpoint gives; what is exported is ready to load."""

import json
import re
import stat

import httpx
import numpy as np
import pytest
import yaml

from tests.unit.serving.harness import running
from workbench.core.errors import InputError, NotFoundError
from workbench.flow import monitoring
from workbench.flow.endpoint import Endpoint
from workbench.serving.discovery import EndpointInfo
from workbench.serving.monitoring import MonitorConfig, dashboard, rules
from workbench.serving.monitoring.dashboard import expressions
from workbench.serving.team import summed

ZEROS = np.zeros((2, 1, 8, 8)).tolist()
CONFIG = MonitorConfig()
ALERTS = rules(CONFIG)["groups"][0]["rules"]
ASKED = [*expressions(dashboard(CONFIG)), *(alert["expr"] for alert in ALERTS)]
NAME = re.compile(r"\b(?:workbench|process)_\w+")


def held(found, **changes) -> Endpoint:
    """A running endpoint as its owner holds it."""
    values = {"models": (), "refs": (), "pid": 1, "pid_started": "", "started": "", "home": ""}
    values |= {"id": "here", "url": found.url, "token": found.token, **changes}
    return Endpoint(EndpointInfo(**values))


@pytest.fixture(scope="module")
def families(digits_file):
    """Kind of each figure that an endpoint gives, by the name that can be asked for."""
    with running(digits_file) as found:
        found.http.post("/predict", json={"inputs": ZEROS})
        text = found.http.get("/metrics").text
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    parts = ("_bucket", "_sum", "_count")
    known = {
        f"{n}{part}": "counter" for n, k in kinds.items() if k == "histogram" for part in parts
    }
    return {**kinds, **known}


def test_only_what_an_endpoint_gives_is_asked_for(families):
    names = {name for expr in ASKED for name in NAME.findall(expr)}
    assert len(names) > 20
    assert names <= set(families)


def test_a_rate_is_of_a_counter_and_a_counter_alone_is_never_compared_with_a_limit(families):
    for expr in ASKED:
        rated = re.findall(r"(?:rate|increase)\((\w+)", expr)
        assert all(families[name] == "counter" for name in rated), expr
    assert families["workbench_ready"] == "gauge"
    assert families["workbench_failures_total"] == "counter"


def test_every_alert_says_what_where_and_what_to_do():
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS)
    for alert in ALERTS:
        notes = alert["annotations"]
        assert alert["labels"]["severity"] in ("warning", "critical")
        is_placed = "{{ $labels.instance }}" in notes["summary"]
        assert is_placed or alert["alert"] == "WorkbenchNoEndpoint"
        assert notes["description"].endswith(".")


def test_the_panels_do_not_overlap_and_each_says_what_it_shows():
    panels = dashboard(CONFIG)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + dx, place["y"] + dy)
            for dx in range(place["w"])
            for dy in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"]
            assert all(
                target["datasource"]["uid"] == "${datasource}" for target in panel["targets"]
            )


def test_failures_are_the_endpoints_own_and_there_from_the_start(digits_file):
    with running(digits_file) as found:
        of = 'model="digits",version="1"'
        page = found.http.get("/metrics").text
        assert f"workbench_failures_total{{{of}}} 0" in page
        assert f"workbench_ready{{{of}}} 1" in page
        (served,) = found.service.router
        for status in (200, 404, 422, 500, 503, 504):
            served.metrics.count("predict", status, 0.001)
        assert f"workbench_failures_total{{{of}}} 2" in found.http.get("/metrics").text


def test_readiness_of_several_workers_is_not_added_up():
    page = b'# TYPE workbench_ready gauge\nworkbench_ready{model="m",version="1"} 1\n'
    assert summed([page, page]).decode().splitlines()[-1].endswith(" 1")


def test_the_token_is_made_for_it_kept_private_and_kept_by_a_second_export(digits_file, tmp_path):
    with running(digits_file, folder=tmp_path) as found:
        folder = tmp_path / "watch"
        made = monitoring.export(folder, [held(found)])
        token = (folder / "here.token").read_text()
        assert stat.S_IMODE((folder / "here.token").stat().st_mode) == 0o600
        others = [name for name in made.files if name != "here.token"]
        assert not any(token in (folder / name).read_text() for name in others)
        assert token not in json.dumps(made.to_json())
        headers = {"authorization": f"Bearer {token}"}
        page = httpx.get(f"{found.url}/metrics", headers=headers, trust_env=False)
        assert page.status_code == 200
        monitoring.export(folder, [held(found)])
        assert (folder / "here.token").read_text() == token
        (folder / "here.token").unlink()  # lost: the old one is shut out
        monitoring.export(folder, [held(found)])
        page = httpx.get(f"{found.url}/metrics", headers=headers, trust_env=False)
        assert page.status_code == 403


def test_addresses_and_certificates_get_into_the_configuration(digits_file, tmp_path):
    token = tmp_path / "token"
    token.write_text("of-the-endpoint-elsewhere")
    with running(digits_file) as found:
        monitoring.export(
            tmp_path / "watch",
            [held(found, certificate="PEM")],
            urls=["https://models.example.com", "http://10.0.0.7:8000"],
            token_file=token,
            options={"interval": "30s", "job": "shop"},
        )
    made = yaml.safe_load((tmp_path / "watch" / "prometheus.yml").read_text())
    own, far, near = made["scrape_configs"]
    assert made["global"]["scrape_interval"] == "30s"
    assert own["job_name"] == "shop-here"
    assert own["tls_config"] == {"ca_file": "here.pem"}
    assert (tmp_path / "watch" / "here.pem").read_text() == "PEM"
    assert (far["scheme"], far["static_configs"][0]["targets"]) == (
        "https",
        ["models.example.com:443"],
    )
    assert near["static_configs"][0]["targets"] == ["10.0.0.7:8000"]
    assert near["authorization"]["credentials_file"] == str(token)
    text = (tmp_path / "watch" / "alerts.yml").read_text()
    assert 'job=~"shop.*"' in text
    assert "workbench.*" not in text


def test_what_is_wrong_is_said_in_words(tmp_path):
    with pytest.raises(NotFoundError, match="nothing to watch"):
        monitoring.export(tmp_path / "watch")
    with pytest.raises(InputError, match="As in https"):
        monitoring.export(tmp_path / "watch", urls=["models:80"], token_file=tmp_path / "t")
    with pytest.raises(InputError, match="a file with its token"):
        monitoring.export(tmp_path / "watch", urls=["http://models:80"])
    with pytest.raises(InputError) as caught:
        monitoring.export(
            tmp_path / "watch", urls=["http://m:80"], options={"hold": "soon", "eror_share": 1}
        )
    assert "hold" in str(caught.value)
    assert "did you mean 'error_share'" in str(caught.value)
    assert not (tmp_path / "watch").exists()
