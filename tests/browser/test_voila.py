"""The dashboard in Voila: one sentence first, read-only, on a phone too."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import environment, free_port
from tests.browser.lab import start_voila

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "dashboards" / "tradeoff.ipynb"


KERNEL = "JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def status(url: str, host: str, **headers: str) -> int:
    """What is answered to a page that calls this server by `host`, with a matching origin."""
    parts = urlsplit(url)
    asking = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    named = f"{host}:{parts.port}"
    try:
        headers = {"Host": named, "Origin": f"http://{named}", **headers}
        asking.request("GET", parts.path, headers=headers)
        return asking.getresponse().status
    finally:
        asking.close()


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.full)])
def test_the_dashboard_opens_with_its_sentence(desk, page, theme):
    copy = desk / "tradeoff.ipynb"
    copy.write_bytes(NOTEBOOK.read_bytes())
    server = start_voila(copy, free_port(), environment(desk), theme)
    try:
        server.wait("voila/static/favicon.ico")
        page.page.goto(server.url)
        panel = page.page.locator("section[data-panel=study]")
        panel.locator(".wb-dot").first.wait_for(timeout=90000)
        sentence = page.page.locator("p.verdict").inner_text()
        assert "kB" in sentence
        assert sentence.startswith(("Recommended", "Keep"))
        assert panel.get_by_role("button", name="Register").count() == 0
        page.page.set_viewport_size({"width": 1200, "height": 900})
        page.page.wait_for_timeout(700)
        page.shot(f"voila-{theme}-1200")
        page.page.set_viewport_size({"width": 390, "height": 844})
        page.page.wait_for_timeout(500)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 390
        page.shot(f"voila-{theme}-390")
        assert page.errors() == []
        assert page.elsewhere == []
        kernel = page.page.evaluate(KERNEL)
        for path in ("", "voila/static/voila.js", "voila/files/a.png", f"api/kernels/{kernel}"):
            assert status(server.url + path, "evil.example") == 403, path
            assert status(server.url + path, "localhost") != 403, path
        assert (
            status(f"{server.url}api/kernels/{kernel}/channels", "evil.example", **UPGRADE) == 403
        )
        assert status(f"{server.url}api/kernels/{kernel}/channels", "localhost", **UPGRADE) == 101
    finally:
        server.stop()
