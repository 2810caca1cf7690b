"""Loading, selecting and refusing plugins, with entry points made up for the test."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import types
from importlib.metadata import EntryPoint

import pytest

from mainstem.api.connector import ConnectorSpec
from mainstem.api.hookspecs import ENTRY_POINT_GROUP, hookimpl
from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.serde import Serializer, SerializerSpec
from mainstem.app.plugins import PluginManager
from mainstem.model.errors import PluginError


def open_nothing(config: object) -> Serializer:
    raise AssertionError("not opened in these tests")


def serializers(*names: str) -> object:
    """A plugin module with these serializers."""

    def mainstem_register_serializers() -> list[SerializerSpec]:
        return [SerializerSpec(name=name, content_type="text/plain", open=open_nothing) for name in names]

    module = types.ModuleType("made_up")
    module.mainstem_register_serializers = hookimpl(mainstem_register_serializers)
    return module


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    """Put modules behind entry points: `installed(serde_json=module)`; a string is source code to execute."""

    def install(**plugins: object) -> list[EntryPoint]:
        points = []
        for name, module in plugins.items():
            module_name = f"made_up_{name}"
            if module is not None:
                monkeypatch.setitem(sys.modules, module_name, module)
            points.append(EntryPoint(name.replace("_", "-"), module_name, ENTRY_POINT_GROUP))
        return points

    return install


def test_a_descriptor_is_found_by_its_type_and_name(installed):
    manager = PluginManager(installed(serde_json=serializers("json"), serde_avro=serializers("avro")))
    assert manager.find(SerializerSpec, "avro").name == "avro"


def test_finding_one_plugin_loads_no_other(installed):
    manager = PluginManager(installed(serde_json=serializers("json"), serde_broken=None))
    assert manager.find(SerializerSpec, "json").name == "json"
    assert manager.broken() == {}


def test_a_plugin_whose_entry_point_has_another_name_is_found_by_loading_all(installed):
    manager = PluginManager(installed(company_formats=serializers("shout", "whisper")))
    assert manager.find(SerializerSpec, "whisper").name == "whisper"


def test_an_unknown_name_suggests_the_nearest_one(installed):
    manager = PluginManager(installed(serde_json=serializers("json"), serde_avro=serializers("avro")))
    with pytest.raises(PluginError, match=r"serializer 'jsn': nobody registered it; did you mean json\?"):
        manager.find(SerializerSpec, "jsn")


def test_an_unknown_name_far_from_all_lists_what_there_is(installed):
    manager = PluginManager(installed(serde_json=serializers("json"), serde_avro=serializers("avro")))
    with pytest.raises(PluginError, match="nobody registered it; there is avro, json"):
        manager.find(SerializerSpec, "protobuf")


def test_a_name_of_another_kind_is_not_found(installed):
    manager = PluginManager(installed(serde_json=serializers("json")))
    with pytest.raises(PluginError, match=r"partitioner 'json': nobody registered it; there is none"):
        manager.find(PartitionerSpec, "json")


def test_a_broken_plugin_is_named_and_skipped(installed):
    manager = PluginManager(installed(serde_broken=None, serde_json=serializers("json")))
    manager.load_all()
    assert [entry.spec.name for entry in manager.registered()] == ["json"]
    assert manager.broken()["serde-broken"].reason == ("ModuleNotFoundError: No module named 'made_up_serde_broken'")


def test_selecting_a_broken_plugin_says_which_and_why(installed):
    manager = PluginManager(installed(serde_broken=None, serde_json=serializers("json")))
    with pytest.raises(PluginError, match=r"its plugin serde-broken of - cannot be used: ModuleNotFoundError"):
        manager.find(SerializerSpec, "broken")


def test_a_name_that_only_a_broken_plugin_could_have_mentions_it(installed):
    manager = PluginManager(installed(company_formats=None, serde_json=serializers("json")))
    with pytest.raises(PluginError, match=r"skipped, because they are broken: company-formats"):
        manager.find(SerializerSpec, "shout")


def raising_hook() -> list[SerializerSpec]:
    raise RuntimeError("no licence file")


def returning(answer: object) -> object:
    def register() -> object:
        return answer

    return register


def registering(hook: str, function: object) -> object:
    module = types.ModuleType("made_up")
    function.__name__ = hook
    setattr(module, hook, hookimpl(function))
    return module


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (registering("mainstem_register_serializers", raising_hook), "RuntimeError: no licence file"),
        (types.ModuleType("empty"), "it registers nothing: no function marked @hookimpl"),
        (registering("mainstem_register_serializers", returning([])), "it registers nothing"),
        (
            registering("mainstem_register_serialisers", returning([])),
            r"there is no hook mainstem_register_serialisers; did you mean mainstem_register_serializers\?",
        ),
        (
            registering("mainstem_register_serializers", returning("json")),
            "returned str, not a list of SerializerSpec",
        ),
        (
            registering("mainstem_register_serializers", returning([ConnectorSpec(name="files")])),
            "returned a ConnectorSpec, not a SerializerSpec",
        ),
        (serializers(""), "returned a SerializerSpec without a name"),
        (
            registering("mainstem_register_serializers", lambda company: []),
            "PluginValidationError.*company",
        ),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_skipped_with_the_reason(installed, module, reason):
    manager = PluginManager(installed(company=module, serde_json=serializers("json")))
    manager.load_all()
    assert [entry.spec.name for entry in manager.registered()] == ["json"]
    with pytest.raises(PluginError, match=reason):
        manager.find(SerializerSpec, "company")


def test_two_plugins_with_one_name_stop_the_start_and_both_are_named(installed):
    manager = PluginManager(installed(serde_json=serializers("json"), company_json=serializers("json")))
    with pytest.raises(PluginError) as refusal:
        manager.load_all()
    assert "serde-json" in str(refusal.value)
    assert "company-json" in str(refusal.value)


def test_the_same_name_for_different_kinds_is_no_conflict(installed):
    spec = PartitionerSpec(name="json", open=lambda config: None)
    other = registering("mainstem_register_partitioners", returning([spec]))
    manager = PluginManager(installed(serde_json=serializers("json"), partitioner_json=other))
    manager.load_all()
    assert manager.find(PartitionerSpec, "json") is spec


def from_distribution(point: EntryPoint, name: str, version: str) -> EntryPoint:
    vars(point)["dist"] = types.SimpleNamespace(name=name, version=version)
    return point


def test_entry_points_of_one_name_from_two_distributions_stop_the_start(installed):
    points = installed(serde_json=serializers("json"), serde_other=serializers("other"))
    vars(points[1])["name"] = "serde-json"
    manager = PluginManager([from_distribution(points[0], "one", "1"), from_distribution(points[1], "two", "2")])
    with pytest.raises(PluginError, match="two has an entry point of the same name as another distribution"):
        manager.load_all()


def test_a_plugin_of_a_script_is_registered_without_being_installed():
    manager = PluginManager([])
    manager.register(serializers("shout"), name="my-script")
    assert manager.find(SerializerSpec, "shout").name == "shout"


def test_a_broken_plugin_of_a_script_is_an_error_at_once():
    with pytest.raises(PluginError, match="it registers nothing"):
        PluginManager([]).register(types.ModuleType("empty"), name="my-script")


def test_loading_twice_registers_once(installed):
    manager = PluginManager(installed(serde_json=serializers("json")))
    manager.find(SerializerSpec, "json")
    manager.load_all()
    manager.load_all()
    assert manager.names(SerializerSpec) == ["json"]


def test_what_is_registered_knows_its_origin():
    manager = PluginManager()
    manager.load_all()
    ours = [entry for entry in manager.registered() if entry.plugin == "storage-segments"]
    assert [(entry.kind.name, entry.spec.name, entry.distribution) for entry in ours] == [
        ("storage", "segments", "mainstem")
    ]
    assert ours[0].version.count(".") == 2


def test_finding_our_own_storage_imports_no_other_plugin():
    """In a process of its own, because this one has imported plugins already."""
    script = """
        import sys
        from mainstem.api.storage import StorageBackend
        from mainstem.app.plugins import PluginManager
        assert PluginManager().find(StorageBackend, "segments").name == "segments"
        print(sorted(name for name in sys.modules if name.startswith("mainstem_plugins.")
                     and name.count(".") == 1))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['mainstem_plugins.storage_segments']"
