"""What a broker's transactions are made of, wired together."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import NamedTuple

from mainstem.api.context import PluginContext
from mainstem.model.configs.broker import BrokerConfig
from mainstem.runtime.groups import Groups
from mainstem.runtime.metadata import Metadata
from mainstem.runtime.partitions import Partitions
from mainstem.runtime.producer_ids import ProducerIds
from mainstem.runtime.transaction_markers import LocalMarkers, MarkerPort
from mainstem.runtime.transaction_verification import TransactionVerifier
from mainstem.runtime.transactions import Transactions


class TransactionServices(NamedTuple):
    producer_ids: ProducerIds
    markers: MarkerPort
    transactions: Transactions
    verifier: TransactionVerifier


def open_transactions(
    config: BrokerConfig,
    metadata: Metadata,
    partitions: Partitions,
    groups: Groups,
    context: PluginContext,
    stack: AsyncExitStack,
) -> TransactionServices:
    """On the broker's loop; registered on `stack` for closing before the groups."""
    producer_ids = ProducerIds(metadata)
    markers = LocalMarkers(partitions, groups, context.clock)
    transactions = Transactions(config, metadata, partitions, producer_ids, markers, context.clock, context.log)
    stack.push_async_callback(transactions.close)
    verifier = TransactionVerifier(transactions, context.clock, asyncio.get_running_loop(), lambda: metadata.config)
    return TransactionServices(producer_ids, markers, transactions, verifier)
