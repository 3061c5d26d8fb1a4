"""Every host, by its key: what it starts answers, is found by others, and ends when told."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.serving import models
from workbench.core.errors import ConflictError, InputError, NotFoundError
from workbench.serving import discovery
from workbench.serving.client import Client
from workbench.serving.host import Host, Order
from workbench.serving.hosts import HOSTS

ZEROS = np.zeros((2, 1, 8, 8), np.float32)


@pytest.fixture(params=HOSTS.keys())
def host(request):
    return HOSTS.get(request.param)


@pytest.fixture
def able(host):
    """A host that can start something here."""
    reason = HOSTS.info(host.key).reason or host.supports()
    if reason is not None:
        pytest.skip(reason)
    return host


@pytest.fixture
def order(store, tmp_path):
    models.register(store, "digits", models.save_digits(tmp_path / "digits.onnx"))
    store.models.promote("digits", 1)
    return Order(("model:digits@champion",), store.home.root, id="here")


def test_it_says_what_it_is(host):
    assert isinstance(host, Host)
    assert host.summary
    assert all(field.description for field in host.Config.model_fields.values())


def test_what_it_starts_answers_is_found_and_ends(able, order):
    host = able
    info = host.start(order)
    try:
        assert (info.id, info.models, info.home) == ("here", ("digits",), str(order.home))
        assert discovery.read("here") == info
        client = Client(info.url, info.token)
        assert client.is_ready()
        assert len(client.predict(ZEROS)) == 2
        client.close()
        with pytest.raises(ConflictError, match="running already"):
            host.start(order)
    finally:
        host.stop(info)
    assert not discovery.is_alive(info)
    assert discovery.running() == []
    host.stop(info)  # again: nothing happens


def test_why_it_cannot_start_is_told_in_words(able, order):
    host = able
    with pytest.raises(NotFoundError, match="nothing"):
        host.start(Order(("model:nothing@champion",), order.home))
    with pytest.raises(InputError, match="unknown option"):
        host.start(Order(order.refs, order.home, config={"wrong": 1}))
    assert discovery.running() == []
