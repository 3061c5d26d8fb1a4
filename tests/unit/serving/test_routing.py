from types import SimpleNamespace

import pytest

from workbench.core.errors import InputError, NotFoundError
from workbench.serving.errors import MethodNotAllowedError
from workbench.serving.router import Router
from workbench.serving.routes import Route, RouteTable


def route(method, path, dialect="a"):
    return Route(method, path, None, lambda request, answer: None, dialect)


def test_a_template_catches_decoded_names():
    table = RouteTable([route("GET", "/m/{model}/v/{version}"), route("GET", "/m/{model}")])
    for _ in range(2):  # the second time from memory
        found = table.find("GET", b"/m/%E6%95%B0/v/3")
        assert found.params == {"model": "数", "version": "3"}
    assert table.find("GET", b"/m/a%2Fb").params == {"model": "a/b"}
    assert table.find("GET", b"/m/a/b") is None
    assert table.find("GET", b"/m/") is None
    assert table.find("HEAD", b"/m/x").route.path == "/m/{model}"
    with pytest.raises(MethodNotAllowedError, match="takes GET"):
        table.find("POST", b"/m/x")


def test_two_dialects_cannot_claim_one_path():
    with pytest.raises(InputError, match="'a' and 'b'"):
        RouteTable([route("GET", "/m/{x}"), route("GET", "/m/{y}", "b")])
    RouteTable([route("GET", "/m/{x}"), route("POST", "/m/{y}", "b")])


def served(name, version, alias=None):
    ref = f"model:{name}@{alias or version}"
    source = SimpleNamespace(ref=ref, alias=alias)
    return SimpleNamespace(name=name, version=version, source=source)


def test_a_name_reaches_its_first_version_and_others_by_number_or_alias():
    router = Router()
    first, second = served("a", "1", "champion"), served("a", "2")
    router.add(first)
    router.add(second)
    assert router.find(None) is router.find("a") is first
    assert router.find("a", "2") is second
    assert router.find("a", "champion") is first
    with pytest.raises(NotFoundError, match="not served in version '3'") as caught:
        router.find("a", "3")
    assert "1, champion, 2" in caught.value.hint
    with pytest.raises(InputError, match="served already"):
        router.add(served("a", "2"))


def test_a_switch_keeps_the_place_and_removing_the_last_removes_the_name():
    router = Router()
    old, new = served("a", "1", "champion"), served("a", "2", "champion")
    router.add(old)
    router.switch(old, new)
    assert router.find("a") is new
    router.remove(new)
    assert router.names() == []
    with pytest.raises(NotFoundError):
        router.find("a")
    with pytest.raises(NotFoundError):
        router.find(None)
