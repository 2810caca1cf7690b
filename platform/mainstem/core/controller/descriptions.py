"""Configurations as DescribeConfigs shows them: effective value, where it comes from, and what lies beneath it.

Source: Kafka's `ConfigHelper` and `DynamicBrokerConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mainstem.core.metadata.effective import CLUSTER_DEFAULTS, effective_config
from mainstem.core.metadata.image import ConfigResource, MetadataImage
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.configs.broker_keys import FAMILIES
from mainstem.model.configs.broker_known import all_broker_keys
from mainstem.model.configs.broker_open import broker_key, without_listener
from mainstem.model.configs.client_metrics import CLIENT_METRICS_KEYS
from mainstem.model.configs.group import GROUP_KEYS, GroupConfig
from mainstem.model.configs.key import ConfigKey, ConfigSource, show
from mainstem.model.configs.topic import TopicConfig
from mainstem.model.configs.topic_keys import TOPIC_KEYS

UNKNOWN_TYPE = 0


class Synonym(msgspec.Struct, frozen=True):
    """One setting that the effective value was chosen from."""

    name: str
    value: str | None
    source: ConfigSource


class DescribedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`value` is None for a secret; `synonyms` are in the order in which they win, the first is the effective one."""

    name: str
    value: str | None
    source: ConfigSource
    type: int
    read_only: bool = False
    is_sensitive: bool = False
    synonyms: Sequence[Synonym] = ()
    doc: str | None = None


class BrokerLayers:
    """The settings of one broker, strongest first: its own dynamic ones, the cluster's, those it was started with."""

    def __init__(self, image: MetadataImage, static: BrokerConfig) -> None:
        own = image.configs_of(ConfigResource("broker", str(static.node_id)))
        cluster = image.configs_of(CLUSTER_DEFAULTS)
        self.effective = effective_config(image, static)
        self._layers = (
            (own, ConfigSource.DYNAMIC_BROKER),
            (cluster, ConfigSource.DYNAMIC_DEFAULT_BROKER),
            (static.given, ConfigSource.STATIC_BROKER),
        )

    def synonyms(self, name: str) -> list[Synonym]:
        """Every setting of the key and its family that exists, defaults last.

        As in Kafka the list begins with the key itself: while only a coarser member of the family is set
        (`log.retention.hours` for `log.retention.ms`), it is empty.
        """
        known = all_broker_keys()
        base = without_listener(name)
        family = FAMILIES.get(name, (name,)) if base == name else (name, base)
        found = [
            Synonym(member, _shown(broker_key(member), texts[member]), source)
            for texts, source in self._layers
            for member in family
            if member in texts
        ]
        found += [
            Synonym(member, known[member].default, ConfigSource.DEFAULT)
            for member in family
            if member in known and known[member].default is not None
        ]
        while found and found[0].name != name:
            del found[0]
        return found

    def source(self, name: str) -> ConfigSource:
        """Where the effective value of a key or of its family comes from."""
        for texts, source in self._layers:
            if any(member in texts for member in FAMILIES.get(name, (name,))):
                return source
        return ConfigSource.DEFAULT

    def names(self) -> list[str]:
        """Every known key, and what was set besides."""
        return sorted(all_broker_keys().keys() | {name for texts, _ in self._layers for name in texts})


def describe_topic(overrides: Mapping[str, str], layers: BrokerLayers) -> list[DescribedConfig]:
    config = TopicConfig.resolve(overrides, layers.effective)
    described = []
    for key in TOPIC_KEYS.values():
        value = show(getattr(config, key.attribute))
        synonyms = layers.synonyms(key.synonyms[0]) if key.synonyms else []
        if key.name in overrides:
            synonyms.insert(0, Synonym(key.name, value, ConfigSource.TOPIC))
        described.append(_described(key, value, synonyms))
    return described


def describe_created_topic(overrides: Mapping[str, str], layers: BrokerLayers) -> list[DescribedConfig]:
    """As CreateTopics answers: no synonyms, and the source counts every member of a family."""
    described = []
    for entry in describe_topic(overrides, layers):
        key = TOPIC_KEYS[entry.name]
        if entry.name in overrides:
            source = ConfigSource.TOPIC
        else:
            source = layers.source(key.synonyms[0]) if key.synonyms else ConfigSource.DEFAULT
        described.append(msgspec.structs.replace(entry, source=source, synonyms=()))
    return described


def describe_broker(layers: BrokerLayers) -> list[DescribedConfig]:
    """One broker: everything."""
    known = all_broker_keys()
    described = []
    for name in layers.names():
        key = broker_key(name)
        synonyms = layers.synonyms(name)
        if key is None:
            described.append(_described_unknown(name, synonyms))
            continue
        if name not in known:
            described.append(_described_open(key, synonyms))
            continue
        value = synonyms[0].value if synonyms else key.default
        if name == "broker.id":
            value = str(layers.effective.node_id)
        described.append(_described(key, value, synonyms))
    return described


def describe_cluster_defaults(image: MetadataImage) -> list[DescribedConfig]:
    """The broker resource without a name: only what was set for the whole cluster."""
    described = []
    for name, text in sorted(image.configs_of(CLUSTER_DEFAULTS).items()):
        key = broker_key(name)
        synonym = Synonym(name, _shown(key, text), ConfigSource.DYNAMIC_DEFAULT_BROKER)
        if key is None:
            described.append(_described_unknown(name, [synonym]))
        elif name not in all_broker_keys():
            described.append(_described_open(key, [synonym]))
        else:
            described.append(_described(key, synonym.value, [synonym]))
    return described


def describe_group(overrides: Mapping[str, str], static: BrokerConfig) -> list[DescribedConfig]:
    config = GroupConfig.resolve(overrides, static)
    described = []
    for key in GROUP_KEYS.values():
        source = ConfigSource.GROUP if key.name in overrides else ConfigSource.DEFAULT
        value = show(getattr(config, key.attribute))
        described.append(_described(key, value, [Synonym(key.name, value, source)]))
    return described


def describe_client_metrics(overrides: Mapping[str, str]) -> list[DescribedConfig]:
    """As Kafka: a subscription that nobody made has the defaults."""
    described = []
    for key in CLIENT_METRICS_KEYS.values():
        value = show(key.parse(overrides[key.name])) if key.name in overrides else key.default
        own = [Synonym(key.name, value, ConfigSource.CLIENT_METRICS)] if key.name in overrides else []
        described.append(_described(key, value, own))
    return described


def _described_open(key: ConfigKey, synonyms: list[Synonym]) -> DescribedConfig:
    """As Kafka: a key that stands in no list is shown as one that cannot be changed, though it can."""
    return DescribedConfig(
        name=key.name,
        value=synonyms[0].value,
        source=synonyms[0].source,
        type=key.type,
        read_only=True,
        is_sensitive=key.is_sensitive,
        synonyms=synonyms,
    )


def _described(key: ConfigKey, value: str | None, synonyms: list[Synonym]) -> DescribedConfig:
    return DescribedConfig(
        name=key.name,
        value=None if key.is_sensitive else value,
        source=synonyms[0].source if synonyms else ConfigSource.DEFAULT,
        type=key.type,
        read_only=key.read_only,
        is_sensitive=key.is_sensitive,
        synonyms=synonyms,
        doc=key.doc,
    )


def _described_unknown(name: str, synonyms: list[Synonym]) -> DescribedConfig:
    """A key nobody knows may hold a secret, so its value is not shown."""
    return DescribedConfig(
        name=name,
        value=None,
        source=synonyms[0].source,
        type=UNKNOWN_TYPE,
        read_only=True,
        is_sensitive=True,
        synonyms=synonyms,
    )


def _shown(key: ConfigKey | None, text: str) -> str | None:
    """The text as Kafka shows it; None for a secret and for what nobody knows."""
    if key is None or key.is_sensitive:
        return None
    return show(key.parse(text))
