"""Sources and sinks of a plan: topics, or connectors with their settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mainstem.api.connector import ConnectorSpec
from mainstem.pipeline.plan import steps
from mainstem.pipeline.plan.building import TOPIC_SINK_OPTIONS, TOPIC_SOURCE_OPTIONS, Builder
from mainstem.pipeline.plan.fields import Selector
from mainstem.pipeline.plan.policies import Policy
from mainstem.pipeline.plan.steps import Plugin


@dataclass(frozen=True, slots=True)
class EndpointBuilder:
    """What was given to `source` or `sink`. Both raise PlanError."""

    builder: Builder
    name: str
    connector: str | ConnectorSpec | None
    topics: tuple[str, ...]
    options: Mapping[str, Any]
    policy: Policy

    def source(self, timestamp: Selector | None) -> steps.Source:
        builder = self.builder
        if self.connector is not None:
            if self.topics:
                named = ", ".join(self.topics)
                builder.refuse(f"source takes topics or connector=, not both: {named} and {self.connector!r}")
            return steps.ConnectorSource(
                name=self.name,
                connector=self.connector,
                options=self.options,
                timestamp=timestamp,
                on_error=self.policy,
            )
        given = builder.options("source", self.options, TOPIC_SOURCE_OPTIONS)
        return steps.TopicSource(
            name=self.name,
            topics=self.topics,
            key=builder.plugin("key", given["key"]),
            value=builder.plugin("value", given["value"]),
            timestamp=timestamp,
            start=given["start"],
            on_error=self.policy,
        )

    def sink(self) -> steps.Sink:
        builder = self.builder
        if self.connector is not None:
            if self.topics:
                builder.refuse(f"sink takes a topic or connector=, not both: {self.topics[0]} and {self.connector!r}")
            return steps.ConnectorSink(
                name=self.name, connector=self.connector, options=self.options, on_error=self.policy
            )
        if len(self.topics) != 1:
            builder.refuse("sink needs one topic, or connector= with the name of a connector")
        given = builder.options("sink", self.options, TOPIC_SINK_OPTIONS)
        return steps.TopicSink(
            name=self.name,
            topic=self.topics[0],
            key=builder.plugin("key", given["key"]),
            value=builder.plugin("value", given["value"]),
            partitioner=builder.plugin("partitioner", given["partitioner"]) or Plugin("murmur2"),
            partitions=given["partitions"],
            configs=given["configs"] or {},
            on_error=self.policy,
        )
