"""DescribeLogDirs on the wire: sizes as they are on the disk, and a directory that is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from mainstem import Broker
from mainstem.client.protocol import ProtocolConnection
from mainstem.model.errors import ErrorCode
from mainstem.wire.apis import ApiKey
from mainstem.wire.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
)

WAIT_S = 30


def fill(broker: Broker) -> None:
    """Topic `t` with four partitions, ten records in each."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    admin.create_topics([NewTopic("t", 4, 1)])["t"].result(WAIT_S)
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for number in range(40):
        producer.produce("t", b"x" * 100, partition=number % 4)
    assert producer.flush(WAIT_S) == 0


def describe(broker: Broker, topics: dict[str, list[int]] | None = None) -> DescribeLogDirsResponse:
    host, port = broker.bootstrap_servers.rsplit(":", 1)
    wanted = None if topics is None else [DescribableLogDirTopic(topic=t, partitions=p) for t, p in topics.items()]
    with ProtocolConnection(host, int(port), WAIT_S) as connection:
        answer = connection.ask(ApiKey.DESCRIBE_LOG_DIRS, DescribeLogDirsRequest(topics=wanted))
    assert isinstance(answer, DescribeLogDirsResponse)
    return answer


def sizes(result: Any) -> dict[tuple[str, int], int]:
    return {
        (topic.name, row.partition_index): row.partition_size for topic in result.topics for row in topic.partitions
    }


def on_disk(directory: Path) -> dict[tuple[str, int], int]:
    found: dict[tuple[str, int], int] = {}
    for file in directory.glob("t-*/*.log"):
        key = ("t", int(file.parent.name.removeprefix("t-")))
        found[key] = found.get(key, 0) + file.stat().st_size
    return found


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    directories = [tmp_path / "one", tmp_path / "two"]
    config = {"log.dirs": ",".join(map(str, directories))}
    with Broker(config=config) as broker:
        fill(broker)
        results = describe(broker).results
        assert [result.log_dir for result in results] == [str(directory) for directory in directories]
        assert [sizes(result) for result in results] == [on_disk(directory) for directory in directories]
        assert all(0 < result.usable_bytes <= result.total_bytes for result in results)
    # After a start no log is open yet: asking opens them.
    with Broker(config=config) as broker:
        assert [sizes(result) for result in describe(broker).results] == [on_disk(each) for each in directories]


def test_only_what_is_asked_for_and_exists_is_described() -> None:
    with Broker() as broker:
        fill(broker)
        (result,) = describe(broker, {"t": [0, 3, 9], "no": [0]}).results
        assert {*sizes(result)} == {("t", 0), ("t", 3)}
        (result,) = describe(broker, {}).results
        assert (result.error_code, list(result.topics)) == (0, [])


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_other_storages_are_described(storage: str) -> None:
    with Broker(storage=storage) as broker:
        fill(broker)
        (result,) = describe(broker).results
        assert len(sizes(result)) == 4
        assert all(size > 1000 for size in sizes(result).values())
        assert (result.total_bytes == -1) == (storage == "memory")


def test_a_directory_that_is_gone_is_an_error_of_its_own(tmp_path: Path) -> None:
    config = {"log.dirs": f"{tmp_path}/one,{tmp_path}/two"}
    with Broker(config=config) as broker:
        fill(broker)
    (tmp_path / "two").rename(tmp_path / "elsewhere")
    (tmp_path / "two").write_text("not a directory")
    with Broker(config=config) as broker:
        one, two = describe(broker).results
        assert (one.error_code, len(sizes(one))) == (0, 2)
        assert (two.error_code, list(two.topics)) == (ErrorCode.KAFKA_STORAGE_ERROR, [])
