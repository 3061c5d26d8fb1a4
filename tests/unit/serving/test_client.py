import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_wine

from tests.unit.serving import models
from tests.unit.serving.harness import running
from workbench.core.config import saved_config
from workbench.core.errors import (
    ForbiddenError,
    InputError,
    NotFoundError,
)
from workbench.core.signature import Signature, TensorSpec
from workbench.data import MODALITIES, load
from workbench.serving.client import Client
from workbench.serving.errors import BadRequestError, EndpointGoneError
from workbench.serving.served import Source
from workbench.store import open_store


@pytest.fixture
def client(endpoint):
    with Client(endpoint.url, endpoint.token, "数字") as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("图片")
    _, test, _, _ = models.digits()
    paths = []
    for place, digit in enumerate(test[:3]):
        paths.append(folder / f"{place}.png")
        Image.fromarray((digit * 255 / 16).astype(np.uint8)).save(paths[-1])
    return paths


def label(found):
    (one,) = found
    return one.label


def test_arrays_are_told_apart_by_rank_and_a_list_is_a_batch(client):
    _, test, _, _ = models.digits()
    assert len(client.predict(test[0])) == 1
    assert len(client.predict(test[:5])) == 5
    assert len(client.predict(list(test[:5]))) == 5
    assert len(client.predict([test[0]])) == 1
    assert client.predict([]) == []
    for rows in (list(test[0]), test[0].tolist()):
        with pytest.raises(InputError, match="A list is always a batch"):
            client.predict(rows)
    assert [item.label for item in client.predict(test[:5])] == [
        label(client.predict(digit)) for digit in test[:5]
    ]


def test_a_prediction_has_a_label_and_scores_by_label(client):
    _, test, _, targets = models.digits()
    (found,) = client.predict(test[0])
    assert found.label == models.LABELS[targets[0]]
    assert tuple(found.scores) == models.LABELS
    assert found.value is None


def test_files_bytes_and_pictures_are_sent_whatever_their_kind(client, files):
    right = label(client.predict(files[0]))
    assert label(client.predict(str(files[0]))) == right
    assert label(client.predict(files[0].read_bytes())) == right
    with Image.open(files[0]) as picture:
        assert label(client.predict(picture)) == right
    mixed = [files[0], str(files[1]), files[2].read_bytes()]
    assert [item.label for item in client.predict(mixed)] == [
        label(client.predict(path)) for path in files
    ]
    with pytest.raises(NotFoundError, match="cannot be read"):
        client.predict("/none/such.png")


def test_a_large_batch_is_sent_in_one_go(client):
    _, test, _, _ = models.digits()
    many = np.concatenate([test] * 5)
    assert len(client.predict(many)) == len(many)


def test_own_tensors_go_by_v2(client):
    _, test, _, _ = models.digits()
    outputs = client.infer({"input": test[:2].reshape(2, 1, 8, 8).astype(np.float32)})
    assert outputs["output"].shape == (2, 10)
    assert outputs["output"].dtype == np.float32
    with pytest.raises(InputError, match="do not fit"):
        client.infer({"input": test[:2]})


def test_errors_come_back_as_what_they_are(endpoint, client):
    with pytest.raises(InputError, match=r"\(8, 8\)"):
        client.predict(np.zeros((3, 3, 3)))
    with pytest.raises(ForbiddenError):
        Client(endpoint.url, "wrong-wrong-wrong-wrong", "数字").predict(np.zeros((8, 8)))
    with pytest.raises(NotFoundError, match="did you mean '数字'"):
        Client(endpoint.url, endpoint.token, "数").predict(np.zeros((8, 8)))
    with pytest.raises(InputError, match="cannot be sent"):
        client.predict([object()])
    assert endpoint.token not in repr(client)


def test_an_endpoint_that_is_gone_is_told(square_file):
    with running(square_file) as found:
        client = Client(found.url, found.token)
        assert client.is_ready()
        assert len(client.predict(np.ones(3))) == 1
    assert not client.is_ready()
    with pytest.raises(EndpointGoneError, match="cannot be reached"):
        client.predict(np.ones(3))
    client.close()


def test_a_kept_connection_that_was_closed_meanwhile_is_made_anew(endpoint, client):
    client.predict(np.zeros((8, 8)))
    for connection in list(endpoint.service.server.connections):
        endpoint.loop.call_soon_threadsafe(connection.abort)
    assert len(client.predict(np.zeros((8, 8)))) == 1


def test_something_else_at_the_address_is_told():
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer():
            connection, _ = other.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")

        thread = threading.Thread(target=answer)
        thread.start()
        client = Client(f"http://127.0.0.1:{other.getsockname()[1]}", "x")
        with pytest.raises(BadRequestError, match="HTTP 404"):
            client.about()
        thread.join()
        client.close()


def test_one_client_serves_many_threads(client):
    _, test, _, _ = models.digits()
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda digit: label(client.predict(digit)), test[:60]))
    assert found == [item.label for item in client.predict(test[:60])]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A regression over raw columns of wines, one of them text."""
    folder = tmp_path_factory.mktemp("wine")
    frame = load_wine(as_frame=True).data.iloc[:, :3].copy()
    frame["产地"] = np.where(frame["alcohol"] > 13, "山", "海")
    store = open_store(folder / "home")
    data = load(store, "table", frame=frame.assign(y=frame["ash"] * 2), target="y")
    (width,) = data.sample_shape
    values = MODALITIES.get("table").decode_batch(
        [dict(row) for row in frame.to_dict("records")], data.preprocessing
    )
    weights = np.random.default_rng(0).standard_normal((width, 1)).astype(np.float32)
    path = models.save_linear(folder / "wine.onnx", weights)
    described = models.description(
        task="regression",
        output="value",
        labels=(),
        signature=Signature(
            (TensorSpec("input", "float32", ("batch", width)),),
            (TensorSpec("output", "float32", ("batch", 1)),),
        ),
        modality="table",
        preprocessing=saved_config("table", data.preprocessing),
    )
    with running(Source("酒", "1", path, described, str(path))) as found:
        yield found, frame, (values @ weights).ravel()


def test_rows_frames_and_dicts_of_columns_are_predicted(table):
    found, frame, right = table
    with Client(found.url, found.token) as client:
        whole = [item.value for item in client.predict(frame)]
        np.testing.assert_allclose(whole, right, rtol=1e-4, atol=1e-4)
        row = dict(frame.iloc[0])
        assert client.predict(row)[0].value == pytest.approx(right[0], rel=1e-4)
        assert len(client.predict([row, row])) == 2
        values = list(row.values())
        assert client.predict([values])[0].value == pytest.approx(right[0], rel=1e-4)
        with pytest.raises(InputError, match="A list is always a batch"):
            client.predict(values)


def test_gaps_and_categories_never_seen_are_answered_and_unknown_columns_told(table):
    found, frame, _ = table
    with Client(found.url, found.token) as client:
        row = {**dict(frame.iloc[0]), "产地": "月", "alcohol": np.nan}
        assert client.predict(row)[0].value is not None
        assert client.predict(pd.DataFrame([row, {**row, "产地": pd.NA}]))[1].value is not None
        assert client.predict(pd.DataFrame([row]).iloc[0])[0].value is not None
        with pytest.raises(InputError, match="alkohol"):
            client.predict({"alkohol": 1.0})
