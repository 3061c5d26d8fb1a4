"""The console as HTTP sees it; what it looks like and does is told by tests/browser."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.unit.serving.harness import raw_request

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def get(endpoint, path, **headers):
    return httpx.get(endpoint.url + path, headers=headers, trust_env=False)


def test_a_browser_gets_the_page_and_a_program_json(endpoint):
    page = get(endpoint, "/", **BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Endpoint</h1>" in page.text
    assert get(endpoint, "/").json()["service"] == "workbench"
    assert endpoint.http.get("/").json()["models"] == ["数字", "digits", "square", "pair"]


def test_the_page_is_the_same_for_all_and_tells_no_name_and_no_token(endpoint):
    with_token = endpoint.http.get("/", headers=BROWSER)
    assert with_token.text == get(endpoint, "/", **BROWSER).text
    assert "数字" not in with_token.text
    assert endpoint.token not in with_token.text


def test_nothing_foreign_is_loaded_and_every_address_is_relative(endpoint):
    page = get(endpoint, "/", **BROWSER)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert addresses == ["data:,", "console.css", "console.js", "openapi.json"]
    for name in ("console.js", "console.css"):
        asset = get(endpoint, f"/{name}")
        assert asset.status_code == 200
        assert not re.search(r"https?://|localStorage|sessionStorage|document\.cookie", asset.text)


@pytest.mark.parametrize("path", ["/", "/console.js", "/console.css", "/openapi.json"])
def test_it_opens_under_the_name_of_a_hub(endpoint, path):
    request = raw_request("GET", path).replace(b"Host: 127.0.0.1", b"Host: hub.example")
    assert endpoint.exchange(request, half_close=True).startswith(b"HTTP/1.1 200 ")


def test_a_model_says_what_it_takes_by_an_example_that_it_takes(endpoint):
    for name in ("数字", "digits", "square", "pair"):
        example = endpoint.http.get(f"/predict/{name}").json()["example"]
        answer = endpoint.http.post(f"/predict/{name}", json={"inputs": example})
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["predictions"]) == 1
