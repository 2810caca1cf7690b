"""Which plugins there are, where they come from, and which one is meant by a name.

Plugins are entry points of the group `mainstem.plugins`, loaded one by one so that a broken one is named and
skipped. It stops the start only if somebody selects it, or if two plugins want one name. Reading every
distribution's entry points takes 25-50 ms and importing every plugin more, so `find` looks first for the
entry point `<kind>-<name>` of this distribution alone (2 ms): a broker that needs one storage, one
coordinator and one sensor imports these three modules and nothing else.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import pluggy

from mainstem.api import hookspecs
from mainstem.api.connector import ConnectorSpec
from mainstem.api.coordination import CoordinatorBackend
from mainstem.api.hookspecs import ENTRY_POINT_GROUP, PROJECT
from mainstem.api.partitioner import PartitionerSpec
from mainstem.api.sensor import SensorExporter
from mainstem.api.serde import SerializerSpec
from mainstem.api.spec import nearest
from mainstem.api.state import StateSpec
from mainstem.api.storage import StorageBackend
from mainstem.api.transport import TransportSpec
from mainstem.model.errors import PluginError

DISTRIBUTION = "mainstem"


class Named(Protocol):
    @property
    def name(self) -> str: ...


SpecT = TypeVar("SpecT", bound=Named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of plugin. `prefix` begins the entry points of our own plugins: `serde-json`."""

    name: str
    prefix: str
    hook: str
    spec: type


KINDS = (
    Kind(name="storage", prefix="storage", hook="mainstem_register_storage", spec=StorageBackend),
    Kind(
        name="coordinator",
        prefix="coordinator",
        hook="mainstem_register_coordinators",
        spec=CoordinatorBackend,
    ),
    Kind(name="sensor", prefix="metrics", hook="mainstem_register_sensors", spec=SensorExporter),
    Kind(name="transport", prefix="transport", hook="mainstem_register_transports", spec=TransportSpec),
    Kind(name="state", prefix="state", hook="mainstem_register_states", spec=StateSpec),
    Kind(name="serializer", prefix="serde", hook="mainstem_register_serializers", spec=SerializerSpec),
    Kind(name="partitioner", prefix="partitioner", hook="mainstem_register_partitioners", spec=PartitionerSpec),
    Kind(name="connector", prefix="connector", hook="mainstem_register_connectors", spec=ConnectorSpec),
)
_KIND_OF_SPEC = {kind.spec: kind for kind in KINDS}
_KIND_OF_HOOK = {kind.hook: kind for kind in KINDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A descriptor and where it came from: entry point, distribution and that distribution's version."""

    kind: Kind
    spec: Any
    plugin: str
    distribution: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenPlugin:
    plugin: str
    distribution: str
    reason: str


class PluginManager:
    """Made by whoever starts something and handed on; never a global.

    `entry_points` replaces the installed ones in tests.
    """

    def __init__(self, entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> None:
        self._entry_points = None if entry_points is None else list(entry_points)
        self._hooks = pluggy.PluginManager(PROJECT)
        self._hooks.add_hookspecs(hookspecs)
        self._registered: dict[tuple[str, str], Registered] = {}
        self._loaded: set[str] = set()
        self._broken: dict[str, BrokenPlugin] = {}
        self._all_loaded = False

    def load_all(self) -> None:
        """Import every installed plugin once. Raises: PluginError if two of them register the same name."""
        if self._all_loaded:
            return
        points = self._entry_points
        if points is None:
            points = list(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP))
        for point in sorted(points, key=lambda point: point.name):
            self._load(point)
        self._all_loaded = True

    def register(self, plugin: object, *, name: str) -> None:
        """Add a plugin that is not installed (a module or object of a script or test).

        Raises: PluginError if it is broken or one of its names is taken.
        """
        self._register(plugin, name, distribution="-", version=str(getattr(plugin, "__version__", "-")))

    def _load(self, point: importlib.metadata.EntryPoint) -> None:
        distribution = point.dist.name if point.dist is not None else "-"
        version = point.dist.version if point.dist is not None else "-"
        label = f"{distribution}:{point.name}"
        if label in self._loaded:
            return
        self._loaded.add(label)
        try:
            self._register(point.load(), point.name, distribution, version)
        except _DuplicateNameError:
            raise
        except Exception as error:  # a stranger's module may raise anything while it is imported
            reason = str(error) if isinstance(error, _RefusedError) else f"{type(error).__name__}: {error}"
            self._broken[point.name] = BrokenPlugin(plugin=point.name, distribution=distribution, reason=reason)

    def _register(self, plugin: object, name: str, distribution: str, version: str) -> None:
        hooks = self._hooks
        if hooks.has_plugin(name):
            raise _DuplicateNameError(
                name, f"{distribution} has an entry point of the same name as another distribution"
            )
        hooks.register(plugin, name)
        try:
            found = self._ask(plugin, name)
        except BaseException:
            hooks.unregister(name=name)
            raise
        for kind, spec in found:
            self._add(Registered(kind=kind, spec=spec, plugin=name, distribution=distribution, version=version))

    def _ask(self, plugin: object, name: str) -> list[tuple[Kind, Any]]:
        """Call the plugin's hooks, alone, so that whatever they raise or return is known to be its own."""
        hooks = self._hooks
        callers = hooks.get_hookcallers(plugin) or []
        found: list[tuple[Kind, Any]] = []
        others = [other for other in hooks.get_plugins() if other is not plugin]
        for caller in callers:
            kind = _KIND_OF_HOOK.get(caller.name)
            if kind is None:
                raise _RefusedError(name, f"there is no hook {caller.name}; {nearest(caller.name, _KIND_OF_HOOK)}")
            for specs in hooks.subset_hook_caller(caller.name, others)():
                found.extend((kind, spec) for spec in _check_specs(name, kind, specs))
        if not found:
            raise _RefusedError(name, "it registers nothing: no function marked @hookimpl returned a descriptor")
        return found

    def _add(self, entry: Registered) -> None:
        key = (entry.kind.name, entry.spec.name)
        taken = self._registered.get(key)
        if taken is not None:
            raise _DuplicateNameError(
                entry.plugin,
                f"{entry.kind.name} {entry.spec.name!r} is registered by {taken.plugin} of "
                f"{taken.distribution} and by {entry.plugin} of {entry.distribution}; uninstall one of them",
            )
        self._registered[key] = entry

    def find(self, spec: type[SpecT], name: str) -> SpecT:
        """The descriptor registered under this name: `find(StorageBackend, "segments")`.

        Raises: PluginError naming the near names, or why the plugin that should have it is broken.
        """
        kind = _KIND_OF_SPEC[spec]
        entry = self._registered.get((kind.name, name))
        if entry is None and not self._all_loaded:
            self._load_own(f"{kind.prefix}-{name}")
            entry = self._registered.get((kind.name, name))
        if entry is None:
            self.load_all()
            entry = self._registered.get((kind.name, name))
        if entry is None:
            raise PluginError(f"{kind.name} {name!r}", self._absence(kind, name))
        return cast(SpecT, entry.spec)

    def _load_own(self, plugin: str) -> None:
        if self._entry_points is not None:
            points: Iterable[importlib.metadata.EntryPoint] = self._entry_points
        else:
            try:
                points = importlib.metadata.distribution(DISTRIBUTION).entry_points.select(group=ENTRY_POINT_GROUP)
            except importlib.metadata.PackageNotFoundError:
                return  # run from a bare checkout; load_all finds what else is installed
        for point in points:
            if point.name == plugin:
                self._load(point)

    def _absence(self, kind: Kind, name: str) -> str:
        culprit = self._broken.get(f"{kind.prefix}-{name}")
        if culprit is None:
            culprit = next(
                (
                    broken
                    for plugin, broken in sorted(self._broken.items())
                    if plugin == name or plugin.endswith(f"-{name}")
                ),
                None,
            )
        if culprit is not None:
            return f"its plugin {culprit.plugin} of {culprit.distribution} cannot be used: {culprit.reason}"
        reason = f"nobody registered it; {nearest(name, self.names(kind.spec))}"
        if self._broken:
            reason += f" (skipped, because they are broken: {', '.join(sorted(self._broken))})"
        return reason

    def names(self, spec: type[SpecT]) -> Sequence[str]:
        """Of everything installed of this kind, sorted."""
        self.load_all()
        kind = _KIND_OF_SPEC[spec]
        return sorted(name for kind_name, name in self._registered if kind_name == kind.name)

    def registered(self) -> Sequence[Registered]:
        """Everything that works, by kind and name."""
        self.load_all()
        return sorted(self._registered.values(), key=lambda entry: (KINDS.index(entry.kind), entry.spec.name))

    def broken(self) -> Mapping[str, BrokenPlugin]:
        """What was skipped so far, by entry point."""
        return dict(self._broken)


class _RefusedError(PluginError):
    """The plugin was imported but breaks the contract; its text is the reason alone."""

    def __str__(self) -> str:
        return self.reason


class _DuplicateNameError(PluginError):
    """Two plugins want one name. This stops the start: whichever won, half the users would be surprised."""


def _check_specs(plugin: str, kind: Kind, specs: object) -> Sequence[Any]:
    wanted = kind.spec.__name__
    if not isinstance(specs, list | tuple):
        raise _RefusedError(plugin, f"{kind.hook} returned {type(specs).__name__}, not a list of {wanted}")
    for spec in specs:
        if not isinstance(spec, kind.spec):
            raise _RefusedError(plugin, f"{kind.hook} returned a {type(spec).__name__}, not a {wanted}")
        name: object = getattr(spec, "name", None)
        if not name or not isinstance(name, str):
            raise _RefusedError(plugin, f"{kind.hook} returned a {wanted} without a name")
    return specs
