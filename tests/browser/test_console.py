"""The endpoint's console in Chromium: behind a prefix, light and dark, at 390 pixels."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from axe_core_python.sync_playwright import Axe

from tests.browser.lab import SHOTS
from tests.unit.serving import models
from tests.unit.serving.harness import running
from workbench.core.signature import Signature, TensorSpec
from workbench.data.columns import Column
from workbench.data.modalities.table import TableConfig
from workbench.serving.served import Source

PREFIX = "/user/ada/proxy/4711/"
COLUMNS = (
    Column(name="age", kind="number", fill=41.0),
    Column(name="plan", kind="category", categories=("basic", "full")),
)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    digits = models.save_digits(folder / "digits.onnx")
    churn = models.save_linear(folder / "churn.onnx", np.ones((3, 1), np.float32))
    config = TableConfig(columns=COLUMNS)
    said = models.description(
        task="regression",
        output="value",
        labels=(),
        signature=Signature(
            (TensorSpec("input", "float32", ("batch", 3)),),
            (TensorSpec("output", "float32", ("batch", 1)),),
        ),
        modality="table",
        preprocessing={"kind": "table", "version": 1, **config.model_dump(mode="json")},
    )
    sources = [
        Source("数字", "3", digits, models.description(), "model:数字@3"),
        Source("churn", "1", churn, said, "model:churn@1"),
        models.save_two_inputs(folder / "pair.onnx"),
    ]
    with running(*sources) as found:
        yield found


@pytest.fixture(scope="module")
def address(endpoint):
    """The console through a proxy that strips a prefix and passes the hub's host name on."""

    class Proxy(BaseHTTPRequestHandler):
        def _pass_on(self):
            if not self.path.startswith(PREFIX):
                return self.send_error(404)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {**self.headers, "Host": "hub.example"}
            there = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=20)
            there.request(self.command, self.path[len(PREFIX) - 1 :], body, headers)
            answer = there.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
            return there.close()

        do_GET = do_POST = _pass_on

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    server.shutdown()
    thread.join()
    server.server_close()


LOOKS = [
    ("light", 1280),
    ("dark", 390),
    pytest.param(("dark", 1280), marks=pytest.mark.full),
    pytest.param(("light", 390), marks=pytest.mark.full),
]


@pytest.fixture
def page(browser, request):
    theme, width = request.param
    context = browser.new_context(
        color_scheme=theme, viewport={"width": width, "height": 900}, device_scale_factor=2
    )
    context.set_default_timeout(15000)
    page = context.new_page()
    page.wrong = []
    page.name = f"console-{theme}-{width}"
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.wrong.append(said.text))
    page.on("requestfailed", lambda failed: page.wrong.append(failed.url))
    yield page
    context.close()


def shot(page, name):
    if SHOTS is not None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{page.name}-{name}.png", full_page=True)


def check_looks(page):
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    found = Axe().run(page)["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found] == []


@pytest.mark.parametrize("page", LOOKS, indirect=True)
def test_a_picture_a_row_and_json_are_answered(page, endpoint, address):
    _, test, _, targets = models.digits()
    page.goto(address)
    page.get_by_label("Token").fill(endpoint.token)
    check_looks(page)
    page.get_by_role("button", name="Connect").click()

    picture = {"name": "digit.png", "mimeType": "image/png", "buffer": models.png(test[0])}
    page.locator("input[type=file]").set_input_files(picture)
    answers = page.locator("#answers")
    label = models.LABELS[targets[0]]
    answers.locator(".big", has_text=label).wait_for()
    assert answers.get_by_role("rowheader").first.inner_text() == label
    assert answers.get_by_role("rowheader").count() == 10
    assert "ms from here and back" in answers.inner_text()
    assert PREFIX in page.locator("#shell").inner_text()
    check_looks(page)
    shot(page, "picture")

    page.get_by_label("Model").select_option("churn")
    page.get_by_label("age").fill("20")
    page.get_by_label("plan").fill("full")
    page.get_by_role("button", name="Predict").first.click()
    answers.locator(".big", has_text="21").wait_for()
    check_looks(page)
    shot(page, "row")

    page.get_by_label("Model").select_option("pair")
    page.get_by_label("as JSON").fill('{"x": [1, 2], "count": [1]}')
    page.get_by_role("button", name="Predict").click()
    page.get_by_role("alert").get_by_text("[batch, 2] would be right").wait_for()
    check_looks(page)
    shot(page, "refused")
    page.get_by_label("as JSON").fill('{"x": [1, 2], "count": [1, 3]}')
    page.get_by_role("button", name="Predict").click()
    answers.get_by_text("5", exact=True).wait_for()
    assert page.get_by_role("alert").count() == 0
    assert [text for text in page.wrong if "422" not in text] == []


@pytest.mark.parametrize("page", LOOKS[:1], indirect=True)
def test_the_token_is_kept_nowhere(page, endpoint, address):
    page.goto(address)
    page.get_by_label("Token").fill("not-the-right-token")
    page.get_by_role("button", name="Connect").click()
    page.get_by_role("alert").get_by_text("does not know this token").wait_for()
    page.get_by_label("Token").fill(endpoint.token)
    page.get_by_role("button", name="Connect").click()
    page.get_by_label("Model").wait_for()
    kept = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert endpoint.token not in kept + page.content() + page.url
    page.reload()
    page.get_by_role("button", name="Connect").wait_for()
    assert not page.locator("#work").is_visible()
