"""JWTs of an identity provider: taken when signed, current and meant for this endpoint."""

import json
import time

import httpx
import jwt
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.unit.serving.harness import Running
from workbench.core.errors import InputError
from workbench.serving.jwks import JwtVerifier
from workbench.serving.provider import Provider, read_provider
from workbench.serving.repository import load_source
from workbench.serving.security import Gate
from workbench.serving.served import Source
from workbench.serving.service import Settings
from workbench.serving.tokens import hash_token

ISSUER, AUDIENCE = "https://id.example", "digits-endpoint"
BODY = {"inputs": np.zeros((1, 1, 8, 8)).tolist()}
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())


def published(path, **keys):
    found = []
    for kid, key in keys.items():
        is_rsa = isinstance(key, rsa.RSAPrivateKey)
        algorithm = jwt.algorithms.RSAAlgorithm if is_rsa else jwt.algorithms.ECAlgorithm
        name = "RS256" if is_rsa else "ES256"
        found.append(
            {
                **json.loads(algorithm.to_jwk(key.public_key())),
                "kid": kid,
                "alg": name,
                "use": "sig",
            }
        )
    path.write_text(json.dumps({"keys": found}))
    return path


def signed(key=EC, kid="ec", algorithm="ES256", **changes):
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "jo",
        "exp": time.time() + 60,
        "scope": "openid predict",
        **changes,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, key, algorithm=algorithm, headers={"kid": kid})


@pytest.fixture(scope="module")
def found(digits_file, tmp_path_factory):
    path = published(tmp_path_factory.mktemp("jwks") / "jwks.json", ec=EC, rsa=RSA)
    made = Running(
        [load_source(Source("digits", "1", digits_file, None, str(digits_file)))], Settings()
    )
    made.gate._jwts = JwtVerifier(Provider(str(path), ISSUER, AUDIENCE))
    yield made
    made.close()


def ask(found, text, method="POST", path="/predict/digits", **options):
    headers = {"authorization": f"Bearer {text}"}
    body = options or ({"json": BODY} if method == "POST" else {})
    return httpx.request(method, found.url + path, headers=headers, trust_env=False, **body)


@pytest.mark.parametrize(("key", "kid", "algorithm"), [(EC, "ec", "ES256"), (RSA, "rsa", "RS256")])
def test_a_right_one_is_taken_and_named(found, key, kid, algorithm):
    text = signed(key, kid, algorithm, sub=f"user-{kid}")
    for _ in range(2):
        assert ask(found, text).status_code == 200
    page = found.http.get("/metrics").text
    assert f'workbench_key_requests_total{{key="jwt:user-{kid}",status="200"}} 2' in page


def test_scopes_and_models_are_those_of_its_claims(found):
    assert ask(found, signed(), "GET", "/manage/tokens").status_code == 403
    managing = signed(scope=None, scp=["manage"])
    assert ask(found, managing, "GET", "/manage/tokens").status_code == 200
    assert ask(found, managing).status_code == 403
    assert ask(found, signed(scope="openid")).status_code == 403
    assert ask(found, signed(models=["other"])).status_code == 403
    assert ask(found, signed(models="digits other")).status_code == 200


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"aud": "another"}, "udience"),
        ({"aud": None}, "aud"),
        ({"iss": "https://evil.example"}, "ssuer"),
        ({"sub": None}, "sub"),
        ({"nbf": 9e9}, "not yet valid"),
        ({"key": OTHER}, "ignature"),
        ({"kid": "unknown"}, "not published"),
    ],
)
def test_a_wrong_one_is_refused_with_the_reason(found, changes, told):
    answer = ask(found, signed(**changes))
    assert answer.status_code == 403
    assert told in answer.text


def test_neither_none_nor_a_shared_secret_signs(found):
    public = RSA.public_key()
    forged = [
        jwt.encode({"sub": "jo"}, None, algorithm="none", headers={"kid": "ec"}),
        signed(str(public.public_numbers().n) * 2, "rsa", "HS256"),
        "ey.ey.ey",
        "eyJ..",
    ]
    for text in forged:
        assert ask(found, text).status_code == 403


def test_new_keys_are_fetched(tmp_path, monkeypatch):
    path = published(tmp_path / "jwks.json", ec=EC)
    verifier = JwtVerifier(Provider(str(path), ISSUER, AUDIENCE))
    published(path, ec=EC, new=OTHER)
    monkeypatch.setattr("workbench.serving.jwks._PAUSE_S", 0.0)
    from tests.unit.serving.harness import wait_for
    from workbench.core.errors import ForbiddenError

    def works():
        try:
            return verifier.verify(signed(OTHER, "new")).name == "jwt:jo"
        except ForbiddenError:
            return False

    assert wait_for(works)


def test_own_tokens_go_on_working():
    gate = Gate([hash_token("0123456789abcdef", "main")])
    assert [token.name for token in gate.tokens()] == ["main"]


def test_options_must_be_complete_and_keys_there(tmp_path):
    assert read_provider(None, None, None) is None
    with pytest.raises(InputError) as error:
        read_provider("http://id.example/keys", None, AUDIENCE)
    assert len(error.value.problems) == 2
    for text in (None, "{", '{"keys": []}'):
        path = tmp_path / "keys.json"
        if text is not None:
            path.write_text(text)
        with pytest.raises(InputError, match="cannot be had"):
            JwtVerifier(Provider(str(path), ISSUER, AUDIENCE))
