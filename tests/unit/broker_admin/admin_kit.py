"""A broker's metadata and the admin handlers on it: what the tests of this folder share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from handler_calls import response, start

from mainstem.api.coordination import ControllerClaim
from mainstem.broker.handlers import describe_configs, incremental_alter_configs
from mainstem.model.cluster import BrokerRegistration, Change, Endpoint
from mainstem.model.configs.broker import BrokerConfig
from mainstem.model.errors import ErrorCode
from mainstem.runtime.metadata import Metadata
from mainstem.telemetry.loggers import Loggers
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResource
from mainstem.wire.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
)

KAFKA = json.loads((Path(__file__).parents[1] / "model/configs/kafka-4.1-configs.json").read_text())
TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


class MemoryCoordinator:
    async def register(self, registration: BrokerRegistration) -> int:
        return 1

    async def brokers(self) -> Sequence[BrokerRegistration]:
        endpoint = Endpoint(listener="PLAINTEXT", security_protocol="PLAINTEXT", host="h", port=9)
        return [BrokerRegistration(broker_id=1, epoch=1, endpoints=(endpoint,), rack="r")]

    async def elect(self, broker_id: int) -> ControllerClaim:
        return ControllerClaim(broker_id=broker_id, epoch=1)

    async def write(self, changes: Sequence[Change], controller_epoch: int) -> None:
        """Nothing to keep."""


class SilentLog:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def debug(self, event: str, **facts: Any) -> None:
        self.events.append(event)

    info = warning = error = debug


class Node:
    """One broker's services, and the way a request takes through them."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self.services: Any = SimpleNamespace(
            metadata=metadata,
            config=metadata.static_config,
            served_versions={},
            loggers=Loggers(SilentLog(), "INFO"),
            broker_id=1,
            cluster_id="c" * 22,
            endpoint_of=lambda broker_id, context: ("h", 9) if broker_id == 1 else None,
        )

    async def ask(self, module: Any, version: int, request: Any) -> Any:
        """As a client of this version sees it: both messages lose what the version does not carry."""
        api = ApiKey[module.__name__.rpartition(".")[2].upper()]
        return await response(api, version, start(self.services, api, version, request))

    async def create(self, name: str, partitions: int = 1, **configs: str) -> None:
        settings = {key.replace("_", "."): value for key, value in configs.items()}
        result = await self.metadata.create_topic(name, partitions, configs=settings)
        assert result.error is ErrorCode.NONE, result.message

    async def describe(self, kind: int, name: str, *keys: str, version: int = 4) -> Any:
        wanted = DescribeConfigsResource(resource_type=kind, resource_name=name, configuration_keys=keys or None)
        request = DescribeConfigsRequest(resources=[wanted], include_synonyms=True, include_documentation=True)
        (result,) = (await self.ask(describe_configs, version, request)).results
        return result

    async def alter(self, kind: int, name: str, *edits: tuple[str, int, str | None], validate: bool = False) -> Any:
        configs = [
            AlterableConfig(name=key, config_operation=operation, value=value) for key, operation, value in edits
        ]
        resource = AlterConfigsResource(resource_type=kind, resource_name=name, configs=configs)
        request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=validate)
        (response,) = (await self.ask(incremental_alter_configs, 1, request)).responses
        return response


async def node(**texts: str) -> Node:
    config = BrokerConfig.from_texts({name.replace("_", "."): text for name, text in texts.items()})
    metadata = Metadata(config, MemoryCoordinator())
    await metadata.start(BrokerRegistration(broker_id=1, epoch=0, endpoints=()), [])
    return Node(metadata)
