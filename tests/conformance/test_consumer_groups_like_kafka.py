"""The same raw requests to consumer groups here and on Apache Kafka 4.1: every answer is the same, words included, and every
record in the log.

Which of the partitions a member gets is the assignor's matter; how many, and in which epoch, is compared.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import NewPartitions, NewTopic
from peers.group_speaker import TIMEOUT_S, TOPIC, Speaker

from mainstem.cli.dump_offsets import OFFSETS, decoded_contents
from mainstem.model import records
from mainstem.model.batch import iterate

pytestmark = pytest.mark.conformance


def malformed(it: Speaker) -> None:
    it.enter("")
    it.beat(" ", 1)
    it.enter("m", group_id=" ")
    it.enter("m", instance_id="")
    it.enter("m", rack_id=" ")
    it.enter("m", rebalance_timeout_ms=-1)
    it.enter("m", topic_partitions=None)
    it.enter("m", subscribed_topic_names=None)
    it.beat("m", -2)
    it.beat("m", -3)
    it.enter("m", server_assignor="sticky")
    it.beat("m", 1)
    it.beat("m", -1)


def epochs(it: Speaker) -> None:
    it.enter("m")
    it.enter("m")
    it.beat("m", 1)
    it.beat("m", 2)
    it.beat("n", 1)
    it.enter("n")
    it.beat("n", 2)
    it.describe()
    it.beat("m", 1)
    it.beat("m", 1)
    it.beat("n", 2)
    it.beat("m", 1, owned=True)
    it.beat("n", 2)
    it.beat("m", 1, owned=True)
    it.beat("m", 1, owned=0)
    it.beat("m", 1)
    it.enter("m")
    it.beat("m", 0, owned=True, rebalance_timeout_ms=1_000, subscribed_topic_names=[TOPIC])
    it.beat("m", 2, owned=True, rebalance_timeout_ms=60_000, subscribed_topic_names=[TOPIC])
    it.describe()
    it.shown()
    it.beat("n", -1)
    it.beat("m", 2)
    it.beat("m", -1)
    it.describe()
    it.shown()


def static_members(it: Speaker) -> None:
    it.enter("m", instance_id="one", rack_id="r")
    it.enter("n", instance_id="one")
    it.beat("n", 1, instance_id="one")
    it.beat("m", 1, instance_id="two")
    it.beat("m", -2, instance_id="one")
    it.describe()
    it.beat("m", 1, instance_id="one")
    it.enter("n", instance_id="one")
    it.describe()
    it.beat("m", 1, instance_id="one")
    it.beat("m", 1)
    it.beat("n", -1, instance_id="one")
    it.describe()


def expressions(it: Speaker) -> None:
    for regex in (
        "a[",
        "(",
        "[z-a]",
        "*a",
        "a**",
        "a{2,1}",
        "a{1001}",
        "(?=x)",
        r"\1",
        "\\",
        "(?P<n",
        "[[:x:]]",
        "(?z)",
    ):
        it.enter("m", subscribed_topic_names=None, subscribed_topic_regex=regex)
    it.enter("m", subscribed_topic_names=None, subscribed_topic_regex="orders-like.*")
    ends = time.monotonic() + TIMEOUT_S
    while it.beat("m", it.told[-1][6]).member_epoch < 2:
        assert time.monotonic() < ends, "the expression is not resolved"
        it.told.pop()
        time.sleep(0.05)
    it.describe()
    it.enter("n", subscribed_topic_names=[], subscribed_topic_regex="orders-like.*")
    it.describe()
    it.beat("m", -1)
    it.beat("n", -1)


def offsets(it: Speaker) -> None:
    it.commit("m", 1)
    it.delete_offset()
    it.enter("m")
    it.commit("m", 1)
    it.commit("m", 0)
    it.commit("m", 2)
    it.commit("m", -1)
    it.commit("x", 1)
    it.commit("", -1)
    it.commit("m", 1, version=8)
    it.fetch()
    it.fetch(member_id="m", member_epoch=1)
    it.fetch(member_id="m", member_epoch=2)
    it.fetch(member_id="x", member_epoch=1)
    it.fetch(member_id="m", member_epoch=-1)
    it.delete_offset()
    it.delete_offset("absent")
    it.delete_offset(TOPIC, 9)
    it.delete_offset(group="absent")
    it.beat("m", -1)
    it.commit("m", 1)
    it.commit("", -1)
    it.delete_offset()
    it.fetch()


def upgrade(it: Speaker) -> None:
    """A classic group of one, joined by a member of the new protocol, which leaves again."""
    asked = it.join()
    joined = it.join(asked.member_id)
    it.sync(joined)
    it.beat("n", 1)
    it.shown()
    it.enter("n")
    it.describe()
    it.shown()
    it.classic_beat(joined.member_id, joined.generation_id)
    it.sync(joined)
    again = it.join(joined.member_id)
    it.sync(again)
    it.classic_beat(joined.member_id, again.generation_id)
    it.beat("n", 2)
    it.classic_beat(joined.member_id, again.generation_id + 1)
    it.classic_beat("n", 2)
    it.commit(joined.member_id, again.generation_id)
    it.commit(joined.member_id, 9)
    it.describe()
    it.leave("nobody")
    it.leave("", "nobody")
    it.beat("n", -1)
    it.describe()
    it.classic_beat(joined.member_id, again.generation_id)
    it.join(joined.member_id)
    it.shown()


def classic_in_consumer(it: Speaker) -> None:
    """A classic member enters a consumer group; when it is alone the group is a classic one."""
    it.enter("m")
    it.join(protocol_type="connect")
    it.join(session_timeout_ms=1)
    asked = it.join()
    joined = it.join(asked.member_id)
    it.sync(joined, protocol_name="other")
    it.sync(joined, generation_id=7)
    it.sync(joined)
    it.describe()
    it.beat("m", 1)
    it.classic_beat(joined.member_id, joined.generation_id)
    it.beat("m", 1, owned=True)
    it.classic_beat(joined.member_id, joined.generation_id)
    again = it.join(joined.member_id)
    it.sync(again)
    it.classic_beat(joined.member_id, again.generation_id)
    it.describe()
    it.leave(joined.member_id)
    it.beat("m", 2)
    it.beat("m", -1)
    asked = it.join()
    # Kafka shows what is committed, and an assignment is answered when it is.
    it.sync(it.join(asked.member_id))
    it.shown()


def static_migration(it: Speaker) -> None:
    """A group of one static member goes to the new protocol and back, in place."""
    joined = it.join(group_instance_id="one")
    it.sync(joined, group_instance_id="one")
    it.enter("n", instance_id="one")
    it.describe()
    it.classic_beat(joined.member_id, joined.generation_id, "one")
    back = it.join(group_instance_id="one")
    it.sync(back, group_instance_id="one")
    it.shown()
    it.beat("n", 2, instance_id="one")
    it.enter("m")
    it.describe()
    again = it.join(group_instance_id="one")
    it.sync(again, group_instance_id="one")
    it.classic_beat(back.member_id, again.generation_id, "one")
    it.join(back.member_id, group_instance_id="one")
    it.describe()
    it.leave("", "one")
    it.describe()
    it.beat("m", -1)


def topic_changes(it: Speaker) -> None:
    """Topics come, grow and go under a member's feet."""
    name = "changing-like-kafka"
    it.enter("m", subscribed_topic_names=[TOPIC, name])
    it.admin.create_topics([NewTopic(name, 2, 1)])[name].result(TIMEOUT_S)
    beat_until(it, lambda answer: answer.member_epoch == 2)
    it.admin.create_partitions([NewPartitions(name, 3)])[name].result(TIMEOUT_S)
    beat_until(it, lambda answer: answer.member_epoch == 3)
    it.describe()
    it.admin.delete_topics([name])[name].result(TIMEOUT_S)
    beat_until(it, lambda answer: answer.assignment is not None)
    it.beat("m", 3, owned=True)
    it.describe()
    it.beat("m", -1)


def beat_until(it: Speaker, is_done: Callable[[Any], bool]) -> None:
    """Metadata takes its time; only the heartbeat that notices counts."""
    ends = time.monotonic() + TIMEOUT_S
    epoch = it.told[-1][6] if it.told[-1][0] == "beat" else it.told[-1][5]
    while not is_done(it.beat("m", epoch)):
        assert time.monotonic() < ends, "nothing has changed"
        it.told.pop()
        time.sleep(0.05)


SCRIPTS = [
    static_migration,
    topic_changes,
    malformed,
    epochs,
    static_members,
    expressions,
    offsets,
    upgrade,
    classic_in_consumer,
]


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.timeout(300)
def test_answers_and_records_are_kafkas(node, kafka_node, script: Callable[[Speaker], None]):
    told, kept = [], []
    for broker in (node, kafka_node):
        speaker = Speaker(broker.bootstrap, script.__name__)
        try:
            script(speaker)
        finally:
            speaker.close()
        told.append(speaker.told)
        kept.append(stored(Path(broker.log_dir), script.__name__))
    assert told[0] == told[1]
    assert kept[0] == kept[1]


def stored(log_dir: Path, group: str) -> list[str]:
    """What lies in the log of the group's coordinator, sorted: within a decision Kafka follows the order of its hash tables.

    Ids, times and which partitions of a topic are left out.
    """
    found: list[str] = []
    for segment in sorted(log_dir.rglob("__consumer_offsets-*/*.log")):
        data = segment.read_bytes()
        for position, header in iterate(data):
            columns = records.decode(data[position : position + header.size])
            pairs = (decoded_contents(OFFSETS, k, v) for k, v in zip(columns.keys, columns.values, strict=True))
            rows = [f"{pair['key']} {pair['payload']}" for pair in pairs]
            found += [neutral(row) for row in rows if f'"{group}"' in row.split(" ")[0]]
    return sorted(found)


def neutral(row: str) -> str:
    row = re.sub(r"[\w-]*[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "id", row)
    row = re.sub(r'"(memberId|topicId|leader)":"[\w-]{22}"', r'"\1":"id"', row)
    row = re.sub(r'"(metadataHash|commitTimestamp|timestamp|version|currentStateTimestamp)":-?\d+', r'"\1":0', row)
    row = re.sub(r'\{"topicId":"id","partitions":\[([\d,]*)\]\}', lambda found: f"{len(found[1].split(','))}", row)
    row = re.sub(r'"partitions":\[([\d,]*)\]', lambda found: f"{len(found[1].split(','))} partitions", row)
    return re.sub(r"\[(\d+(?:,\d+)+)\]", lambda found: ",".join(sorted(found[1].split(","))), row)
