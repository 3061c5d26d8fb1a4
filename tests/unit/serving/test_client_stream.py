"""Answers in pieces as the Python client reads them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.serving import models
from tests.unit.serving.counting import in_flight
from tests.unit.serving.harness import running, wait_for
from workbench.core.errors import InputError
from workbench.serving.client import Client
from workbench.serving.errors import EndpointGoneError, ModelError

NONE = {"more": np.asarray([0])}


@pytest.fixture
def client(counted):
    with Client(counted.url, counted.token, "count") as made:
        yield made


def test_pieces_come_in_order_with_their_types(client):
    pieces = list(client.stream({"more": np.asarray([1])}))
    assert [int(piece["number"][0]) for piece in pieces] == [1, 2, 3, 4, 5, 6]
    assert pieces[0]["number"].dtype == np.int64
    assert [piece["text"][0] for piece in pieces] == list("123456")


def test_the_first_piece_is_there_before_the_next_is_made(counted, client):
    counted.model.held = 1
    with client.stream(NONE) as pieces:
        assert next(pieces)["number"][0] == 1
        assert counted.model.made == 1
        counted.model.gate.set()
        assert [int(piece["number"][0]) for piece in pieces] == [2, 3, 4, 5]
        assert next(pieces, None) is None


def test_closing_it_ends_the_work_within_a_piece(counted, client):
    counted.model.held, counted.model.n = 2, -1
    pieces = client.stream(NONE)
    assert [int(next(pieces)["number"][0]) for _ in range(2)] == [1, 2]
    pieces.close()
    assert next(pieces, None) is None
    wait_for(lambda: in_flight(counted) == 0)
    counted.model.gate.set()
    assert counted.model.closed.wait(30)
    assert counted.model.made <= 3
    assert client.infer(NONE)["number"][0] == -1  # the client itself goes on


def test_an_error_in_the_middle_is_raised_after_the_pieces_before_it(counted, client):
    counted.model.fails_at = 2
    pieces = client.stream(NONE)
    assert [int(next(pieces)["number"][0]) for _ in range(2)] == [1, 2]
    with pytest.raises(ModelError):
        next(pieces)
    assert next(pieces, None) is None


def test_wrong_inputs_are_refused_at_once(client):
    with pytest.raises(InputError, match="less"):
        client.stream({"less": np.asarray([0])})


def test_an_endpoint_that_ends_in_the_middle_is_not_taken_for_the_end(counted, client):
    counted.model.held = 1
    pieces = client.stream(NONE)
    assert next(pieces)["number"][0] == 1
    (connection,) = counted.service.server.connections
    counted.loop.call_soon_threadsafe(connection.abort)
    with pytest.raises(EndpointGoneError):
        next(pieces)


def test_texts_go_both_ways_at_once_and_in_pieces(folder):
    with running(models.save_echo(folder / "echo.onnx")) as found:
        client = Client(found.url, found.token, "echo")
        for words in (np.asarray(["数字", ""], object), np.asarray(["ab"])):
            once = client.infer({"text": words})
            (piece,) = client.stream({"text": words})
            assert list(once["echo_bytes"]) == list(piece["echo_bytes"]) == list(words)
        with pytest.raises(InputError, match="texts can be sent"):
            client.infer({"text": np.asarray([None], object)})
        client.close()
