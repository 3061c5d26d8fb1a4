"""Under a base-URL prefix, as on a hub or on Binder: panels, dashboard and links to endpoints."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.browser.conftest import environment, free_port
from tests.browser.lab import (
    CHROMIUM,
    FLAGS,
    TOKEN,
    Page,
    start_lab,
    start_voila,
    write_notebook,
)  # fmt: skip

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "dashboards" / "tradeoff.ipynb"
BASE = "/user/anna/"
HOST = "hub.example"
SERVE = "import workbench as wb\nendpoint = wb.serve('model:digits-cnn@1')\nendpoint"
ASK = """async ([url, headers]) => {
    const body = JSON.stringify({ inputs: [Array.from({ length: 8 }, () => Array(8).fill(3))] });
    const sent = { method: "POST", headers: { "Content-Type": "application/json", ...headers } };
    const answer = await fetch(url, { ...sent, body });
    return [answer.status, await answer.json()];
}"""


@pytest.fixture
def hub(desk, browser):
    """A JupyterLab below a prefix, and a page that reaches it by the name of a hub."""
    server = start_lab(
        desk, free_port(), environment(desk), BASE, "--ServerApp.allow_remote_access=True"
    )
    rule = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    chromium = browser.browser_type.launch(executable_path=CHROMIUM, args=[*FLAGS, rule])
    try:
        server.wait("api")
        server.url = server.url.replace("127.0.0.1", HOST)
        page = Page(chromium.new_page(viewport={"width": 1500, "height": 1400}))
        page.page.set_default_timeout(60000)
        yield server, page
    finally:
        chromium.close()
        server.stop()


@pytest.mark.full
def test_a_snippet_works_through_the_jupyter_proxy_and_only_with_a_token(hub, desk):
    server, page = hub
    write_notebook(desk / "proxy.ipynb", [SERVE, "endpoint.token"])
    page.open_notebook(server, "proxy.ipynb")
    page.run_all()
    panel = page.page.locator("section[data-panel=endpoint]")
    snippet = panel.get_by_label("Snippet")
    snippet.wait_for()
    text = snippet.inner_text()
    address = text.split('"')[1]
    assert address.startswith(f"{server.url}proxy/"), text
    assert "localhost" not in panel.inner_html()
    assert "127.0.0.1" not in panel.inner_html()
    token = page.page.locator(".jp-OutputArea-output pre").last.inner_text().strip("'")
    url = address.partition("?")[0]
    assert page.page.evaluate(ASK, [url, {}])[0] in (401, 403)
    assert page.page.evaluate(ASK, [url, {"Authorization": "Bearer not-the-right-one"}])[0] == 403
    status, answer = page.page.evaluate(ASK, [url, {"Authorization": f"Bearer {token}"}])
    assert status == 200, answer
    assert from_outside(address.replace("$JUPYTER_TOKEN", TOKEN), token) == 200
    assert from_outside(address.replace("$JUPYTER_TOKEN", "wrong"), token) in (403, 405)
    page.shot("endpoint-through-proxy", "section[data-panel=endpoint]")
    assert page.errors() == []


def from_outside(address: str, token: str) -> int:
    """The status that a program gets which is not logged in."""
    body = json.dumps({"inputs": [[[3] * 8] * 8]}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    headers["Host"] = address.split("/")[2]
    url = address.replace(HOST, "127.0.0.1")
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.full
def test_the_app_works_under_a_prefix(hub, desk):
    server, page = hub
    write_notebook(desk / "app-prefix.ipynb", ["import workbench as wb\nwb.app()"])
    page.open_notebook(server, "app-prefix.ipynb")
    page.run_all()
    tabs = page.page.locator("[data-panel=app]")
    page.page.locator("section[data-panel=dataset] :is(.wb-tile, td)").first.wait_for()
    for tab, kind in (("Train", "run"), ("Compress", "study"), ("Models", "version")):
        tabs.get_by_role("tab", name=tab).click()
        page.page.locator(f"section[data-panel={kind}] .wb-body").wait_for()
    assert page.errors() == []


@pytest.mark.full
def test_the_dashboard_works_under_a_prefix(desk, page):
    copy = desk / "tradeoff.ipynb"
    copy.write_bytes(NOTEBOOK.read_bytes())
    server = start_voila(copy, free_port(), environment(desk), base=BASE)
    try:
        server.wait("voila/static/favicon.ico")
        page.page.goto(server.url)
        panel = page.page.locator("section[data-panel=study]")
        panel.locator(".wb-dot").first.wait_for(timeout=90000)
        panel.get_by_role("radio", name="latency").click()
        assert panel.get_by_role("radio", name="latency").get_attribute("aria-checked") == "true"
        assert page.errors() == []
    finally:
        server.stop()


@pytest.mark.full
def test_the_dashboard_works_inside_a_jupyter_server_as_on_binder(hub, desk):
    server, page = hub
    (desk / "tradeoff.ipynb").write_bytes(NOTEBOOK.read_bytes())
    page.page.goto(f"{server.url}voila/render/tradeoff.ipynb?token={TOKEN}")
    page.page.locator("section[data-panel=study] .wb-dot").first.wait_for(timeout=90000)
    assert page.page.locator("p.verdict").inner_text().startswith(("Recommended", "Keep"))
    assert page.errors() == []
