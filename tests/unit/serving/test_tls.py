"""TLS with a generated and with one's own certificate, over real sockets and processes."""

import json
import ssl
import stat
import subprocess
import sys

import httpx
import numpy as np
import pytest

from tests.unit.serving.harness import running
from workbench.core.errors import InputError
from workbench.serving import discovery
from workbench.serving.client import Client
from workbench.serving.errors import EndpointGoneError
from workbench.serving.tls import Certificate, find_certificate, generated

ZEROS = np.zeros((1, 1, 8, 8), np.float32)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return generated(tmp_path_factory.mktemp("tls"), ["models.example"])


@pytest.fixture(scope="module")
def found(digits_file, certificate):
    with running(digits_file, certificate=certificate) as endpoint:
        endpoint.url = endpoint.url.replace("http:", "https:")
        yield endpoint


def trusting(certificate):
    context = ssl.create_default_context(cadata=certificate.trusted)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def test_who_trusts_the_certificate_is_answered(found, certificate):
    with Client(found.url, found.token, certificate=certificate.trusted) as client:
        assert client.is_ready()
        assert len(client.predict(np.zeros((500, 1, 8, 8), np.float32))) == 500
    headers = {"authorization": f"Bearer {found.token}"}
    with httpx.Client(verify=trusting(certificate), headers=headers, trust_env=False) as http:
        for _ in range(3):
            answer = http.post(f"{found.url}/predict", json={"inputs": ZEROS.tolist()})
            assert answer.status_code == 200


def test_who_does_not_trust_it_sends_no_token(found):
    with pytest.raises(EndpointGoneError, match=r"certificate|CERTIFICATE"):
        Client(found.url, found.token).predict(ZEROS)


def test_plain_http_is_not_spoken(found):
    assert b"HTTP" not in found.exchange(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")


def test_old_versions_of_tls_are_not_spoken(found, certificate):
    context = trusting(certificate)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with found.socket() as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(plain, server_hostname="localhost")


def test_a_generated_certificate_is_kept_until_its_names_change(tmp_path):
    first = generated(tmp_path, ["a.example"])
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert generated(tmp_path, ["a.example"]).trusted == first.trusted
    assert generated(tmp_path, ["b.example"]).trusted != first.trusted


def test_what_is_no_certificate_is_told(tmp_path, certificate):
    with pytest.raises(InputError, match="--tls self") as error:
        find_certificate((str(tmp_path / "none"), str(certificate.key)), tmp_path, [])
    assert len(error.value.problems) == 1
    with pytest.raises(InputError, match="no certificate with its key"):
        Certificate(certificate.key, certificate.path).context()
    assert find_certificate((), tmp_path, []) is None
    own = find_certificate((str(certificate.path), str(certificate.key)), tmp_path, [])
    assert own.trusted == certificate.trusted


def test_the_process_serves_by_tls_and_others_find_what_to_trust(digits_file, tmp_path):
    (tmp_path / "kept").mkdir()
    command = [sys.executable, "-m", "workbench.serving.process", str(digits_file)]
    command += ["--tls", "self", "--json", "--folder", str(tmp_path / "kept")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        ready = json.loads(process.stdout.readline())
        assert ready["url"].startswith("https://127.0.0.1:")
        (info,) = discovery.running()
        with Client(info.url, info.token, certificate=info.certificate) as client:
            assert client.predict(ZEROS)
        process.terminate()
        assert process.wait(20) == 0
