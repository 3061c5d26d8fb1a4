import asyncio

import httpx
import pytest

from tests.unit.serving.harness import raw_request, running, wait_for
from workbench.serving.app import make_app
from workbench.serving.limits import Limits
from workbench.serving.metrics import Metrics
from workbench.serving.protocol import Endpoint
from workbench.serving.router import Router
from workbench.serving.security import Gate
from workbench.serving.service import Settings
from workbench.serving.tokens import hash_token


async def streaming(scope, receive, send):
    body = (await receive())["body"]
    start = {"type": "http.response.start", "status": 200, "headers": [(b"X-Path", b"x")]}
    await send(start)
    for piece in (b"one ", b"", b"two ", body):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def plain(scope, receive, send):
    body = f"{scope['method']} {scope['path']} {scope['query_string'].decode()}".encode()
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def broken(scope, receive, send):
    raise RuntimeError("defect")


async def silent(scope, receive, send):
    await receive()
    await receive()


class Pages:
    """An ASGI app as the server wants it: it lets every head in."""

    def __init__(self, app):
        self.app = app

    def admit(self, request):
        return None

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


@pytest.fixture
def found(square_file):
    with running(square_file) as found:
        yield found


def test_any_asgi_app_answers_on_the_same_port(found):
    found.service.server._app = Pages(plain)
    answer = found.http.get("/路径?a=1")
    assert (answer.status_code, answer.text) == (201, "GET /路径 a=1")
    assert found.http.post("/predict", json=[1, 2, 3]).status_code == 200


def test_a_streamed_answer_comes_in_chunks_on_a_kept_connection(found):
    found.service.server._app = Pages(streaming)
    for _ in range(2):
        answer = found.http.post("/x", content=b"three")
        assert answer.text == "one two three"
        assert answer.headers["transfer-encoding"] == "chunked"
    data = raw_request("POST", "/x", body=b"three").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert found.exchange(data).endswith(b"\r\n\r\none two three")


def test_a_defect_of_the_app_is_a_500_and_the_next_request_works(found, caplog):
    found.service.server._app = Pages(broken)
    answer = found.http.get("/x")
    assert answer.status_code == 500
    assert answer.json()["code"] == "unexpected"
    assert "defect" not in answer.text
    assert "defect" in caplog.text
    assert found.http.get("/v2/health/live").status_code == 200


def test_an_app_that_waits_for_a_caller_ends_with_it(square_file):
    settings = Settings(limits=Limits(half_closed_s=0.0))
    with running(square_file, settings=settings) as found:
        server = found.service.server
        server._app = Pages(silent)
        with pytest.raises(httpx.ReadTimeout):
            found.http.get("/x", timeout=0.05)
        wait_for(lambda: not server._tasks and not server.connections)


def test_our_own_app_also_runs_under_another_server():
    gate = Gate([hash_token("0123456789abcdef", "t")])
    app = make_app(Endpoint(Router(), gate), Metrics())

    async def main():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            token = {"authorization": "Bearer 0123456789abcdef"}
            assert (await client.get("/metrics")).status_code == 401
            assert (await client.get("/metrics", headers=token)).status_code == 200
            unknown = await client.get("/metricz", headers=token)
            assert "did you mean '/metrics'" in unknown.text

    asyncio.run(main())


def test_a_defect_in_the_middle_of_an_answer_ends_its_connection(found):
    """Nobody waits for the rest, nor takes the beginning for all."""

    async def breaking(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        raise RuntimeError("defect")

    found.service.server._app = Pages(breaking)
    answer = found.exchange(raw_request("GET", "/x"))
    assert answer.endswith(b"4\r\none \r\n")
    assert found.http.get("/v2/health/live").status_code == 200
