"""`mainstem reassign-partitions`: the flags and the output of Kafka's `kafka-reassign-partitions.sh`.

Not done: throttles, and moves between the folders of a broker.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container, Mapping, Sequence

from mainstem.cli.arguments import CommandError, Parser
from mainstem.cli.cluster_commands import connected
from mainstem.cli.output import print_error, print_json
from mainstem.cli.reassignment_plans import Plan, plan_text, proposed, read_brokers, read_plan, read_topics
from mainstem.client.admin import Admin
from mainstem.client.errors import RefusedError
from mainstem.client.partition_moves import Outcome, ongoing_reassignments, reassign
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

ACTIONS = ("--generate", "--execute", "--verify", "--cancel", "--list")
BROKER_THROTTLES = (
    "leader.replication.throttled.rate",
    "follower.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
)
TOPIC_THROTTLES = ("leader.replication.throttled.replicas", "follower.replication.throttled.replicas")
EXAMPLES = (
    "mainstem reassign-partitions --bootstrap-server localhost:9092 --list",
    "mainstem reassign-partitions --bootstrap-server localhost:9092 --generate --topics-to-move-json-file topics.json"
    " --broker-list 1,2,3",
    "mainstem reassign-partitions --bootstrap-server localhost:9092 --execute --reassignment-json-file plan.json",
    "mainstem reassign-partitions --bootstrap-server localhost:9092 --verify --reassignment-json-file plan.json",
)


def main(arguments: Sequence[str]) -> int:
    parser = reassign_parser()
    options = parser.read(arguments)
    action = parser.exactly_one(options, ACTIONS)
    check(parser, options, action)
    actions: Mapping[str, Callable[[Admin, argparse.Namespace], None]] = {
        "--list": show_ongoing,
        "--generate": generate,
        "--execute": execute,
        "--verify": verify,
        "--cancel": cancel,
    }
    try:
        with connected(options) as admin:
            actions[action](admin, options)
    except (CommandError, RefusedError) as error:
        if options.json:
            print_error(str(error))
        else:
            print(f"Error: {error}")
        return 1
    return 0


def reassign_parser() -> Parser:
    parser = Parser("reassign-partitions", "Move partitions between brokers.", EXAMPLES)
    parser.connection()
    parser.value("--bootstrap-controller", "HOST:PORT", "refused: there are no KRaft controllers here")
    parser.flag("--list", "print what is being moved")
    parser.flag("--generate", "print a plan; does nothing")
    parser.flag("--execute", "begin what a plan says")
    parser.flag("--verify", "print how far a plan is done")
    parser.flag("--cancel", "take back what a plan has begun")
    parser.value("--reassignment-json-file", "FILE", "the plan")
    parser.value("--topics-to-move-json-file", "FILE", "with --generate: the topics")
    parser.value("--broker-list", "IDS", "with --generate: the brokers to give them to, separated by commas")
    parser.flag("--disable-rack-aware", "with --generate: without a look at racks, which is what happens anyhow")
    parser.flag("--additional", "with --execute: while other partitions are being moved")
    parser.flag("--disallow-replication-factor-change", "with --execute: refuse a plan with more or fewer replicas")
    parser.flag("--preserve-throttles", "with --verify and --cancel: leave throttles as they are")
    parser.value("--throttle", "BYTES", "refused: replication is not throttled here", kind=int)
    parser.value("--replica-alter-log-dirs-throttle", "BYTES", "refused: replicas stay in their folder", kind=int)
    parser.value("--timeout", "MS", "refused with it: a move between folders is waited for", kind=int)
    parser.flag("--json", "print the result as JSON; for --generate the plan")
    return parser


def check(parser: Parser, options: argparse.Namespace, action: str) -> None:
    """Raises: UsageError."""
    if options.bootstrap_controller is not None:
        parser.error("there are no KRaft controllers here: use --bootstrap-server")
    if action == "--generate":
        parser.require(options, "--topics-to-move-json-file", "--broker-list")
    elif action != "--list":
        parser.require(options, "--reassignment-json-file")
    parser.only(
        options,
        action,
        {
            "--reassignment-json-file": ("--execute", "--verify", "--cancel"),
            "--topics-to-move-json-file": ("--generate",),
            "--broker-list": ("--generate",),
            "--disable-rack-aware": ("--generate",),
            "--additional": ("--execute",),
            "--disallow-replication-factor-change": ("--execute",),
            "--preserve-throttles": ("--verify", "--cancel"),
            "--throttle": ("--execute",),
            "--replica-alter-log-dirs-throttle": ("--execute",),
            "--timeout": ("--execute",),
        },
    )
    if options.throttle is not None or options.replica_alter_log_dirs_throttle is not None:
        parser.error("replication is not throttled here: leave --throttle away")


def show_ongoing(admin: Admin, options: argparse.Namespace) -> None:
    found = ongoing_reassignments(admin.cluster)
    if options.json:
        print_json(found)
        return
    if not found:
        print("No partition reassignments found.")
        return
    print("Current partition reassignments:")
    for each in found:
        line = f"{each.topic}-{each.partition}: replicas: {_joined(each.replicas)}."
        line += f" adding: {_joined(each.adding)}." if each.adding else ""
        line += f" removing: {_joined(each.removing)}." if each.removing else ""
        print(line)


def _joined(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def current_plan(admin: Admin, topics: Sequence[str]) -> Plan:
    return {
        TopicPartition(topic.name, each.partition): each.replicas
        for topic in admin.describe_topics(topics)
        for each in topic.partitions
    }


def generate(admin: Admin, options: argparse.Namespace) -> None:
    topics = read_topics(options.topics_to_move_json_file)
    brokers = read_brokers(options.broker_list)
    check_brokers(admin, brokers)
    current = current_plan(admin, topics)
    if options.json:
        print(plan_text(proposed(current, brokers)))
        return
    print(f"Current partition replica assignment\n{plan_text(current)}\n")
    print(f"Proposed partition reassignment configuration\n{plan_text(proposed(current, brokers))}")


def check_brokers(admin: Admin, wanted: Sequence[int]) -> None:
    """Raises: CommandError."""
    unknown = sorted(set(wanted) - set(admin.brokers()))
    if unknown:
        raise CommandError(f"Unknown broker id {unknown[0]}")


def execute(admin: Admin, options: argparse.Namespace) -> None:
    plan = read_plan(options.reassignment_json_file)
    check_brokers(admin, [broker for replicas in plan.values() for broker in replicas])
    if not options.additional and ongoing_reassignments(admin.cluster):
        raise CommandError(
            "Cannot execute because there is an existing partition assignment.  Use --additional to override this and"
            " create a new partition assignment in addition to the existing one."
        )
    current = current_plan(admin, sorted({partition.topic for partition in plan}))
    absent = sorted(str(partition) for partition in plan if partition not in current)
    if absent:
        raise CommandError(f"This server does not host this topic-partition: {', '.join(absent)}")
    before = plan_text({partition: current[partition] for partition in plan})
    if not options.json:
        print(f"Current partition replica assignment\n\n{before}\n")
        print("Save this to use as the --reassignment-json-file option during rollback")
    may_change = not options.disallow_replication_factor_change
    failed = _failed(reassign(admin.cluster, plan, may_change_factor=may_change))
    if failed:
        raise CommandError("Error reassigning partition(s):\n" + "\n".join(failed))
    if options.json:
        print(before)
        return
    print(f"Successfully started partition reassignment{_s(plan)} for {','.join(map(str, sorted(plan)))}")


def _failed(outcome: Outcome) -> list[str]:
    return [f"{each}: {problem.message}" for each, problem in sorted(outcome.items()) if problem is not None]


def _s(many: Mapping[TopicPartition, object] | Sequence[object]) -> str:
    return "s" if len(many) != 1 else ""


def verify(admin: Admin, options: argparse.Namespace) -> None:
    plan = read_plan(options.reassignment_json_file)
    ongoing = {TopicPartition(each.topic, each.partition): each for each in ongoing_reassignments(admin.cluster)}
    existing = set(admin.topics())
    current = current_plan(admin, sorted({partition.topic for partition in plan} & existing))
    if options.json:
        print_json([_progress(partition, plan, current, ongoing) for partition in sorted(plan)])
        return
    print("Status of partition reassignment:")
    for partition, replicas in sorted(plan.items()):
        if partition in ongoing:
            print(f"Reassignment of partition {partition} is still in progress.")
        elif current.get(partition, ()) == replicas:
            print(f"Reassignment of partition {partition} is completed.")
        else:
            found = _joined(current.get(partition, ()))
            print(
                f"There is no active reassignment of partition {partition}, but replica set is {found} rather than"
                f" {_joined(replicas)}."
            )
    if not options.preserve_throttles and not any(partition in ongoing for partition in plan):
        print()
        clear_throttles(admin, plan)


def _progress(
    partition: TopicPartition, plan: Plan, current: Plan, ongoing: Container[TopicPartition]
) -> dict[str, object]:
    is_there = current.get(partition, ()) == plan[partition]
    return {
        "topic": partition.topic,
        "partition": partition.partition,
        "replicas": current.get(partition, ()),
        "wanted": plan[partition],
        "state": "in progress" if partition in ongoing else "completed" if is_there else "not active",
    }


def clear_throttles(admin: Admin, plan: Plan) -> None:
    """Takes back what an execution with throttles, by Kafka's own tool, may have left."""
    brokers = admin.brokers()
    print(f"Clearing broker-level throttles on broker{_s(brokers)} {_joined(brokers)}")
    for broker in brokers:
        _clear(admin, "broker", str(broker), "DYNAMIC_BROKER_CONFIG", BROKER_THROTTLES)
    topics = sorted({partition.topic for partition in plan} & set(admin.topics()))
    print(f"Clearing topic-level throttles on topic{_s(topics)} {','.join(topics)}")
    for topic in topics:
        _clear(admin, "topic", topic, "DYNAMIC_TOPIC_CONFIG", TOPIC_THROTTLES)


def _clear(admin: Admin, kind: str, name: str, source: str, keys: Sequence[str]) -> None:
    own = [each.name for each in admin.configs(kind, name) if each.source == source and each.name in keys]
    if own:
        admin.alter_configs(kind, name, dict.fromkeys(own))


def cancel(admin: Admin, options: argparse.Namespace) -> None:
    plan = read_plan(options.reassignment_json_file)
    ongoing = {TopicPartition(each.topic, each.partition) for each in ongoing_reassignments(admin.cluster)}
    active = sorted(partition for partition in plan if partition in ongoing)
    outcome = reassign(admin.cluster, dict.fromkeys(active)) if active else {}
    failed = _failed(
        {
            each: problem
            for each, problem in outcome.items()
            if problem is None or problem.code is not ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
        }
    )
    if failed:
        raise CommandError("Error cancelling partition reassignment(s) for:\n" + "\n".join(failed))
    if options.json:
        print_json([{"topic": each.topic, "partition": each.partition} for each in active])
        return
    if active:
        print(f"Successfully cancelled partition reassignment{_s(active)} for: {','.join(map(str, active))}")
    else:
        print("None of the specified partition reassignments are active.")
    # Kafka ends this line only where something follows.
    print("None of the specified partition moves are active.", end="")
    if options.preserve_throttles:
        print()
    else:
        clear_throttles(admin, plan)
