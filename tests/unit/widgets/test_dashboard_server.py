"""By which names the dashboards may be called, and by which not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tornado.web import Application

from workbench.widgets import dashboard_server
from workbench.widgets.dashboard_server import Dashboards, is_own


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8866", "localhost", "LOCALHOST:1", "a.localhost:8866", "[::1]:8866", "10.0.0.7",
     "lab.example:8866"],
)  # fmt: skip
def test_own_names(host):
    assert is_own(host, {"lab.example"})


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8866", "localhost.evil.example", "127.0.0.1.evil.example", "",
     "evil.example@127.0.0.1.x", "[::1", "lab.example.evil"],
)  # fmt: skip
def test_foreign_names(host):
    assert not is_own(host, {"lab.example"})


@pytest.mark.parametrize(("on_hub", "is_refused"), [(False, True), (True, False)])
def test_the_check_stands_before_everything_but_on_a_hub(monkeypatch, on_hub, is_refused):
    monkeypatch.delenv("JUPYTERHUB_SERVICE_PREFIX", raising=False)
    if on_hub:
        monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/anna/")
    monkeypatch.setattr(dashboard_server.Voila, "listen", lambda self: None)
    server = Dashboards()
    server.app = Application()
    server.listen()
    asked = SimpleNamespace(host="evil.example")
    first = server.app.default_router.rules[0]
    is_checked = first.target is dashboard_server._Refused
    assert is_checked is is_refused
    assert not is_checked or first.matcher.match(asked) is not None
