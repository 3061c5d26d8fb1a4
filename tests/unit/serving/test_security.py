import hashlib
import time

import httpx
import pytest

from tests.unit.serving.harness import raw_request
from workbench.core.errors import InputError, NotFoundError
from workbench.serving.security import Gate
from workbench.serving.tokens import hash_token, new_token

BODY = {"inputs": [1, 2, 3]}


def post(endpoint, **headers):
    url = f"{endpoint.url}/predict/square"
    return httpx.post(url, json=BODY, headers=headers, trust_env=False)


def test_without_a_token_the_way_to_send_one_is_told(endpoint):
    answer = post(endpoint)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthorized"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Basic dXNlcjpwYXNz", 401),
        ("Bearer", 401),
        ("Bearer wrong", 403),
        ("bearer {token}", 200),
        ("Bearer {token}x", 403),
        ("Bearer {reader}", 200),
    ],
)
def test_a_wrong_token_is_forbidden(endpoint, header, status):
    value = header.format(token=endpoint.token, reader=endpoint.reader)
    answer = post(endpoint, authorization=value)
    assert answer.status_code == status
    assert endpoint.token not in answer.text


def test_a_token_of_another_scope_is_forbidden(endpoint):
    headers = {"authorization": f"Bearer {endpoint.reader}"}
    url = f"{endpoint.url}/manage/tokens"
    answer = httpx.get(url, headers=headers, trust_env=False)
    assert answer.status_code == 403
    assert "manage" in answer.json()["message"]
    assert endpoint.http.get("/manage/tokens").status_code == 200


def test_a_token_is_made_used_and_revoked_while_running(endpoint):
    made = endpoint.http.post("/manage/tokens", json={"name": "ci"})
    assert made.status_code == 201
    headers = {"authorization": f"Bearer {made.json()['token']}"}
    assert post(endpoint, **headers).status_code == 200
    assert endpoint.http.post("/manage/tokens", json={"name": "ci"}).status_code == 422
    assert made.json()["token"] not in endpoint.http.get("/manage/tokens").text
    assert endpoint.http.delete("/manage/tokens/ci").status_code == 200
    assert post(endpoint, **headers).status_code == 403
    assert endpoint.http.delete("/manage/tokens/ci").status_code == 404


def test_an_expired_token_is_forbidden(endpoint):
    expires = time.time() - 1
    made = endpoint.http.post("/manage/tokens", json={"name": "old", "expires": expires}).json()
    answer = post(endpoint, authorization=f"Bearer {made['token']}")
    assert answer.status_code == 403
    assert "expired" in answer.text


def test_bad_token_options_are_told_all_at_once(endpoint):
    body = {"name": "", "scopes": ["root"], "expires": "soon", "typo": 1}
    answer = endpoint.http.post("/manage/tokens", json=body)
    assert answer.status_code == 422
    assert len(answer.json()["problems"]) == 4


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"name": "a", "expires": True}, "expires: got true or false; a number or null"),
        ({"name": "a", "scopes": "predict"}, "scopes: got text; a list"),
        ({"name": "a", "limits": {"burst": "7"}}, "limits.burst: got text; a whole number or null"),
        ({"name": "a", "models": ["x", 1]}, "models"),
    ],
)
def test_json_values_keep_their_types(endpoint, body, says):
    """A form may write a number as text; a program's JSON may not, nor true for 1."""
    answer = endpoint.http.post("/manage/tokens", json=body)
    assert answer.status_code == 422
    assert any(problem.startswith(says) for problem in answer.json()["problems"])


@pytest.mark.parametrize(
    ("host", "is_right"),
    [
        ("127.0.0.1:8000", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("[::1]:80", True),
        ("192.168.0.7", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:80", False),
        ("", True),
    ],
)
def test_a_foreign_host_name_is_refused_on_every_path(endpoint, host, is_right):
    for path in ("/v2/health/live", "/metrics", "/nothing"):
        request = raw_request("GET", path).replace(b"Host: 127.0.0.1", f"Host: {host}".encode())
        answer = endpoint.exchange(request, half_close=True)
        assert (b" 403 " not in answer) == is_right


def test_who_has_the_token_may_come_by_the_name_of_a_hub(endpoint):
    """The Jupyter proxy passes the browser's Host header on."""
    for token, is_right in ((endpoint.token, True), ("wrong" * 5, False), (None, False)):
        request = raw_request("GET", "/v2/health/live", token=token)
        request = request.replace(b"Host: 127.0.0.1", b"Host: hub.example")
        answer = endpoint.exchange(request, half_close=True)
        assert (b" 403 " not in answer) == is_right


def test_the_server_keeps_only_a_hash(endpoint):
    clear = new_token()
    token = hash_token(clear, "x")
    assert clear not in repr(token)
    assert token.digest == hashlib.sha256(clear.encode()).hexdigest()
    with pytest.raises(InputError, match="characters"):
        hash_token("short", "x")
    with pytest.raises(NotFoundError, match="did you mean 'predict'"):
        hash_token(clear, "x", ["predikt"])
    with pytest.raises(NotFoundError):
        Gate([token]).revoke("y")


def test_no_token_and_no_payload_reaches_log_or_errors(endpoint, caplog):
    secret = "geheim-4711"
    endpoint.http.post("/predict/square", json={"inputs": secret})
    endpoint.http.get(f"/nothing?key={secret}")
    from tests.unit.serving.harness import wait_for

    def logged():
        text = "".join(p.read_text() for p in endpoint.log.glob("*.jsonl"))
        return text if "/predict/square" in text else ""

    text = wait_for(logged) + caplog.text
    assert secret not in text
    assert endpoint.token not in text
