"""`mainstem transactions`: the flags and the output of Kafka's `kafka-transactions.sh` (KIP-664)."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from mainstem.cli.arguments import CommandError, Parser, given
from mainstem.cli.cluster_commands import connected
from mainstem.cli.output import print_json, tabbed_table
from mainstem.client.admin import Admin
from mainstem.client.errors import RefusedError
from mainstem.client.transactions import ANY_DURATION, Transactions
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

ACTIONS = {
    "list": "list transactions",
    "describe": "describe the state of a transactional id",
    "describe-producers": "describe the producers of a partition",
    "abort": "end a transaction that hangs in a partition",
    "find-hanging": "find transactions that nobody will end",
    "forceTerminateTransaction": "end what a transactional id has open",
}
TIMEOUT_MINUTES = 15
EXAMPLES = (
    "mainstem transactions --bootstrap-server localhost:9092 list --duration-filter 60000",
    "mainstem transactions --bootstrap-server localhost:9092 describe --transactional-id payments-1",
    "mainstem transactions --bootstrap-server localhost:9092 describe-producers --topic orders --partition 0",
    "mainstem transactions --bootstrap-server localhost:9092 find-hanging --broker-id 1",
    "mainstem transactions --bootstrap-server localhost:9092 abort --topic orders --partition 0 --start-offset 42",
)
SEE_HELP = "Enable debug logging for additional detail."


def main(arguments: Sequence[str]) -> int:
    parser = transactions_parser()
    options = parser.read(arguments)
    check(parser, options)
    with connected(options) as admin:
        match options.action:
            case "list":
                list_transactions(admin, options)
            case "describe":
                describe(admin, options)
            case "describe-producers":
                describe_producers(admin, options)
            case "abort":
                abort(admin, options)
            case "find-hanging":
                find_hanging(admin, options)
            case _:
                force_terminate(admin, options)
    return 0


def transactions_parser() -> Parser:
    parser = Parser("transactions", "List and describe transactions; find and end those that hang.", EXAMPLES)
    parser.action(ACTIONS)
    parser.connection()
    parser.value("--duration-filter", "MS", "with list: only transactions that run for longer", kind=int)
    parser.value("--transactional-id-pattern", "REGEX", "with list: only transactional ids that match")
    parser.value("--transactional-id", "ID", "with describe: which one")
    parser.value("--transactionalId", "ID", "with forceTerminateTransaction: which one")
    parser.value("--topic", "TOPIC", "the topic")
    parser.value("--partition", "N", "the partition", kind=int)
    parser.value("--broker-id", "ID", "ask this broker, not the leader; find only what it has", kind=int)
    parser.value("--start-offset", "OFFSET", "with abort: where the transaction starts in the partition", kind=int)
    parser.value("--producer-id", "ID", "with abort, instead of --start-offset: the producer", kind=int)
    parser.value("--producer-epoch", "N", "with --producer-id: its epoch", kind=int)
    parser.value("--coordinator-epoch", "N", "with --producer-id: the epoch of its coordinator", kind=int)
    parser.value(
        "--max-transaction-timeout",
        "MINUTES",
        f"with find-hanging: how long a transaction may run (default: {TIMEOUT_MINUTES})",
        kind=int,
        default=TIMEOUT_MINUTES,
    )
    parser.flag("--json", "print the result as JSON")
    return parser


def check(parser: Parser, options: argparse.Namespace) -> None:
    """Raises: UsageError, CommandError."""
    in_partition = ("abort", "describe-producers", "find-hanging")
    parser.only(
        options,
        options.action,
        {
            "--duration-filter": ("list",),
            "--transactional-id-pattern": ("list",),
            "--transactional-id": ("describe",),
            "--transactionalId": ("forceTerminateTransaction",),
            "--topic": in_partition,
            "--partition": in_partition,
            "--broker-id": ("describe-producers", "find-hanging"),
            "--start-offset": ("abort",),
            "--producer-id": ("abort",),
            "--producer-epoch": ("abort",),
            "--coordinator-epoch": ("abort",),
            "--json": ("list", "describe", "describe-producers", "find-hanging"),
        },
    )
    needed = {
        "describe": ("--transactional-id",),
        "forceTerminateTransaction": ("--transactionalId",),
        "describe-producers": ("--topic", "--partition"),
        "abort": ("--topic", "--partition"),
    }
    parser.require(options, *needed.get(options.action, ()))
    if options.action == "find-hanging":
        if options.topic is None and options.broker_id is None:
            raise CommandError(
                "The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search"
            )
        if options.partition is not None and options.topic is None:
            raise CommandError("The --partition argument requires --topic to be provided")
    if options.action == "abort":
        check_abort(options)


def check_abort(options: argparse.Namespace) -> None:
    """Raises: CommandError."""
    if options.start_offset is not None:
        return
    if options.producer_id is None:
        raise CommandError(
            "The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or"
            " with --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)"
        )
    for name in ("--producer-epoch", "--coordinator-epoch"):
        if not given(options, name):
            raise CommandError(f"Missing required argument {name}")


def failure(what: str, error: RefusedError) -> CommandError:
    return CommandError(f"{what}: {error.message}. {SEE_HELP}")


def list_transactions(admin: Admin, options: argparse.Namespace) -> None:
    duration = options.duration_filter if options.duration_filter is not None else ANY_DURATION
    try:
        found = Transactions(admin.cluster).listings(duration_ms=duration, pattern=options.transactional_id_pattern)
    except RefusedError as error:
        raise failure("Failed to list transactions", error) from None
    if options.json:
        print_json(found)
        return
    header = ("TransactionalId", "Coordinator", "ProducerId", "TransactionState")
    print(
        tabbed_table(
            header, [(each.transactional_id, each.coordinator, each.producer_id, each.state) for each in found]
        )
    )


def describe(admin: Admin, options: argparse.Namespace) -> None:
    wanted = options.transactional_id
    try:
        found = Transactions(admin.cluster).describe(wanted)
    except RefusedError as error:
        if error.code is ErrorCode.TRANSACTIONAL_ID_NOT_FOUND:
            message = (
                f"DescribeTransactions request for transactionalId `{wanted}` failed because the ID could not be found"
            )
            error = RefusedError(error.code, message)
        raise failure(f"Failed to describe transaction state of transactional-id `{wanted}`", error) from None
    if options.json:
        print_json(found)
        return
    cells = (
        found.coordinator_id,
        found.transactional_id,
        found.producer_id,
        found.producer_epoch,
        found.state,
        found.timeout_ms,
        "None" if found.start_ms is None else found.start_ms,
        "None" if found.start_ms is None else now_ms() - found.start_ms,
        ",".join(map(str, found.partitions)),
    )
    header = (
        "CoordinatorId",
        "TransactionalId",
        "ProducerId",
        "ProducerEpoch",
        "TransactionState",
        "TransactionTimeoutMs",
        "CurrentTransactionStartTimeMs",
        "TransactionDurationMs",
        "TopicPartitions",
    )
    print(tabbed_table(header, [cells]))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def describe_producers(admin: Admin, options: argparse.Namespace) -> None:
    partition = TopicPartition(options.topic, options.partition)
    try:
        found = Transactions(admin.cluster).producers([partition], options.broker_id)[partition]
    except RefusedError as error:
        where = "leader" if options.broker_id is None else f"broker {options.broker_id}"
        raise failure(f"Failed to describe producers for partition {partition} on {where}", error) from None
    if options.json:
        print_json(found)
        return
    header = (
        "ProducerId",
        "ProducerEpoch",
        "LatestCoordinatorEpoch",
        "LastSequence",
        "LastTimestamp",
        "CurrentTransactionStartOffset",
    )
    lines = [
        (
            each.producer_id,
            each.producer_epoch,
            each.coordinator_epoch,
            each.last_sequence,
            each.last_timestamp_ms,
            "None" if each.start_offset is None else each.start_offset,
        )
        for each in found
    ]
    print(tabbed_table(header, lines))


def abort(admin: Admin, options: argparse.Namespace) -> None:
    partition = TopicPartition(options.topic, options.partition)
    transactions = Transactions(admin.cluster)
    if options.start_offset is None:
        producer_id, producer_epoch = options.producer_id, options.producer_epoch
        coordinator_epoch = options.coordinator_epoch
    else:
        try:
            producers = transactions.producers([partition])[partition]
        except RefusedError as error:
            raise failure(f"Failed to validate producer state for partition {partition}", error) from None
        found = next((each for each in producers if each.start_offset == options.start_offset), None)
        if found is None:
            raise CommandError(
                "Could not find any open transactions starting at offset"
                f" {options.start_offset} on partition {partition}"
            )
        producer_id, producer_epoch = found.producer_id, found.producer_epoch
        coordinator_epoch = found.coordinator_epoch
    try:
        # A transaction that hung before its first marker has no coordinator epoch; 0 is below any real one.
        transactions.abort(partition, producer_id, producer_epoch, max(coordinator_epoch, 0))
    except RefusedError as error:
        raise failure(
            f"Failed to abort transaction of producer {producer_id} in partition {partition}", error
        ) from None


def find_hanging(admin: Admin, options: argparse.Namespace) -> None:
    from mainstem.cli.hanging_transactions import HangingTransactions

    search = HangingTransactions(admin, now_ms(), options.max_transaction_timeout * 60_000)
    try:
        found = search.find(options.topic, options.partition, options.broker_id)
    except RefusedError as error:
        raise failure("Failed to search for hanging transactions", error) from None
    if options.json:
        print_json(found)
        return
    header = (
        "Topic",
        "Partition",
        "ProducerId",
        "ProducerEpoch",
        "CoordinatorEpoch",
        "StartOffset",
        "LastTimestamp",
        "Duration(min)",
    )
    lines = [
        (
            each.topic,
            each.partition,
            each.producer_id,
            each.producer_epoch,
            each.coordinator_epoch,
            each.start_offset,
            each.last_timestamp_ms,
            each.duration_minutes,
        )
        for each in found
    ]
    print(tabbed_table(header, lines))


def force_terminate(admin: Admin, options: argparse.Namespace) -> None:
    wanted = options.transactionalId
    transactions = Transactions(admin.cluster)
    try:
        transactions.fence(wanted)
    except RefusedError as error:
        raise failure(f"Failed to force terminate transactionalId `{wanted}`", error) from None
