import pytest
from pydantic import Field

from workbench.core import plugins
from workbench.core.config import Config
from workbench.core.errors import InputError, NotFoundError
from workbench.core.plugins import Plugin, Registry


class Tool(Plugin):
    summary = "A tool."

    class Config(Config):
        size: int = Field(1, ge=1, le=9, description="How large")
        color: str = "red"


class Broken(Tool):
    requires = ("no_such_module_anywhere",)
    extra = "tools"


@pytest.fixture
def tools(tmp_path, monkeypatch):
    package = tmp_path / "toolbox_of_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "stone.py").write_text("")
    (package / "broken_file.py").write_text("import no_such_module_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_REGISTRIES", [])
    return Registry("tools", "toolbox_of_test", Tool)


def test_keys_come_from_files_without_importing_them(tools):
    assert tools.keys() == ["broken_file", "stone"]


def test_a_decorated_class_is_a_plugin(tools):
    @tools.plugin("hammer")
    class Hammer(Tool):
        pass

    assert tools.get("hammer").key == "hammer"
    assert tools.info("hammer").reason is None


def test_an_unknown_key_names_the_nearest(tools):
    tools.add("hammer", Tool())
    with pytest.raises(NotFoundError, match="did you mean 'hammer'"):
        tools.get("hamer")


def test_a_missing_module_is_a_reason_and_not_a_crash(tools):
    tools.add("saw", Broken())
    assert "maas-workbench[tools]" in tools.info("saw").reason
    assert "cannot be imported" in tools.info("broken_file").reason


def test_a_taken_key_and_a_wrong_class_are_refused(tools):
    with pytest.raises(InputError, match="taken"):
        tools.add("stone", Tool())
    with pytest.raises(InputError, match="not a Tool"):
        tools.add("nail", Plugin())


def test_a_cell_that_is_run_again_replaces_its_own(tools):
    first, second = Tool(), Tool()
    tools.add("hammer", first)
    tools.add("hammer", second)
    assert tools.get("hammer") is second
    assert plugins.own_plugins() == [("toolbox_of_test", "hammer", second)]


def test_all_option_problems_are_told_at_once(tools):
    tools.add("hammer", Tool())
    with pytest.raises(InputError) as caught:
        tools.parse("hammer", {"size": 12, "colour": "blue"})
    text = str(caught.value)
    assert "size" in text
    assert "12" in text
    assert "did you mean 'color'" in text
