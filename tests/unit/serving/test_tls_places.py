"""Callers that never finish their TLS handshake lock nobody out, nor hold up the end."""

import asyncio
import errno
import json
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress

import grpc
import pytest

from tests.unit.serving.harness import raw_request, read_all, running, wait_for
from workbench.core.host import open_files
from workbench.serving import discovery, event_loop, tls_listener
from workbench.serving.client import Client
from workbench.serving.limits import Limits
from workbench.serving.service import Settings
from workbench.serving.tls import generated

HALF_HELLO = bytes.fromhex("16030100c8010000c40303")  # 200 bytes announced, 6 sent
CLOSE = ["Connection: close"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return generated(tmp_path_factory.mktemp("tls"), [])


@pytest.fixture(params=["uvloop", "asyncio"])
def serve(request, monkeypatch, square_file, certificate):
    """Begins an endpoint with few places on either event loop."""
    if request.param == "asyncio":
        monkeypatch.setattr("tests.unit.serving.harness.new_loop", asyncio.new_event_loop)
    else:
        assert "uvloop" in type(event_loop.new_loop()).__module__

    def serve(**limits):
        settings = Settings(limits=Limits(**limits), drain_s=1000)
        return running(square_file, settings=settings, certificate=certificate)

    return serve


def ask(found, certificate):
    """Asks over a connection of its own and returns what is answered."""
    context = ssl.create_default_context(cadata=certificate.trusted)
    request = raw_request("GET", "/v2", token=found.token, headers=CLOSE)
    with context.wrap_socket(found.socket(), server_hostname="127.0.0.1") as connection:
        connection.sendall(request)
        return read_all(connection)


def hello():
    """Returns what a client says first."""
    said = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname="a")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return said.read()


def is_ended(connection):
    """Returns whether the endpoint closes the connection; waits for it and reads all before."""
    try:
        return read_all(connection) is not None
    except ConnectionResetError:
        return True


def test_silent_connections_beyond_the_places_give_way(serve, certificate):
    with serve(connections=16, header_s=1000) as found, ExitStack() as held:
        silent = [held.enter_context(found.socket()) for _ in range(40)]
        for one in silent[::2]:
            one.sendall(HALF_HELLO)
        assert b" 200 OK" in ask(found, certificate)
        assert all(is_ended(one) for one in silent[: 40 - 16])
        for _ in range(20):
            assert b" 200 OK" in ask(found, certificate)
        assert len(found.service.server.connections) <= 16


def test_who_stops_in_mid_handshake_is_closed_after_the_time_for_it(serve, certificate):
    with serve(header_s=0.2) as found, found.socket() as silent, found.socket() as begun:
        begun.sendall(hello())
        assert begun.recv(1)  # the endpoint's half of the handshake
        assert is_ended(silent)
        assert is_ended(begun)
        wait_for(lambda: not found.service.server.connections)
        assert b" 200 OK" in ask(found, certificate)


def test_handshakes_under_way_do_not_hold_up_the_end(serve):
    with serve(header_s=1000) as found:
        silent = [found.socket() for _ in range(3)]
        wait_for(lambda: len(found.service.server.connections) == 3)
    for one in silent:
        assert is_ended(one)
        one.close()


def test_who_left_in_mid_handshake_holds_no_place(serve):
    with serve(header_s=1000) as found:
        with found.socket() as one:
            one.sendall(HALF_HELLO)
            wait_for(lambda: len(found.service.server.connections) == 1)
        wait_for(lambda: not found.service.server.connections)


def test_a_stranger_gives_way_when_no_file_can_be_opened(serve, certificate, monkeypatch):
    """The system call fails as it does then; what is short is freed by the one that goes."""
    fails = []

    def accept(listener):
        if fails:
            raise OSError(fails.pop(), "no file is left")
        return listener.accept()[0]

    monkeypatch.setattr(tls_listener, "_accept", accept)
    with serve(header_s=1000) as found, found.socket() as silent:
        wait_for(lambda: len(found.service.server.connections) == 1)
        fails += [errno.EMFILE]
        assert b" 200 OK" in ask(found, certificate)
        assert is_ended(silent)


@contextmanager
def process(model, files, *options):
    """Runs an endpoint of its own that may open so many files."""
    code = (
        f"import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))\n"
        "from workbench.serving.process import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, str(model), "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as made:
        try:
            ready = json.loads(made.stdout.readline())
            yield next(one for one in discovery.running() if one.id == ready["id"])
        finally:
            made.terminate()
            assert made.wait(30) == 0


def connect_silently(held, address, count):
    """Opens connections over which nothing is ever said."""
    if open_files(count + 256) < count + 256:
        pytest.skip(f"{count} sockets cannot be opened here")
    host, port = address.rsplit(":", 1)
    for _ in range(count):
        held.enter_context(socket.create_connection((host, int(port)), timeout=10))


@pytest.mark.parametrize(
    ("files", "silent"), [(256, 300), pytest.param(1300, 4500, marks=pytest.mark.full)]
)
def test_silent_connections_take_no_more_files_than_there_are(digits_file, files, silent):
    with process(digits_file, files, "--tls", "self") as info, ExitStack() as held:
        connect_silently(held, info.url.removeprefix("https://"), silent)
        for _ in range(5):
            with Client(info.url, info.token, certificate=info.certificate) as client:
                assert client.is_ready()


def answers_by_grpc(info, certificate=""):
    """Asks for the server's metadata, with the token, over a connection of its own; no retry."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    if certificate:
        trusted = grpc.ssl_channel_credentials(certificate.encode())
        channel = grpc.secure_channel(info.grpc, trusted, options)
    else:
        channel = grpc.insecure_channel(info.grpc, options)
    with channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ServerMetadata")
        return call(b"", metadata=[("authorization", f"Bearer {info.token}")], timeout=10)


@pytest.mark.full
@pytest.mark.parametrize("options", [(), ("--tls", "self")], ids=["plain", "tls"])
def test_5000_silent_connections_to_the_grpc_port_lock_nobody_out(digits_file, options):
    files = 12_000
    if open_files(files) < files:
        pytest.skip(f"{files} files cannot be opened here")
    with process(digits_file, files, "--grpc-port", "0", *options) as info, ExitStack() as held:
        connect_silently(held, info.grpc, 5000)
        for _ in range(5):
            assert answers_by_grpc(info, info.certificate)
            with Client(info.url, info.token, certificate=info.certificate) as client:
                assert client.is_ready()
