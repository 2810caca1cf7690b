"""The smaller commands on our broker. Their texts are compared with Apache Kafka's tools in tests/conformance; here it is JSON,
and what they refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from confluent_kafka import Producer

from .conftest import Run


@pytest.fixture
def topic(mainstem: Run, request: pytest.FixtureRequest) -> str:
    """Two partitions with five records in all."""
    name = re.sub(r"\W", "-", request.node.name)
    mainstem(f"topics --create --topic {name} --partitions 2")
    keys = b"".join(b"%d\tv\n" % number for number in range(5))
    assert mainstem(f"console-producer --topic {name} --property parse.key=true", keys).status == 0
    return name


def test_groups_of_all_kinds_are_listed(mainstem: Run, topic: str) -> None:
    mainstem(f"console-consumer --topic {topic} --group listed --from-beginning --max-messages 1")
    assert {"group": "listed", "type": "Classic", "state": "Empty", "protocol": "consumer"} in json.loads(
        mainstem("groups --list --json").out
    )
    assert "listed" in mainstem("groups --list --consumer").out
    assert "listed" not in mainstem("groups --list --streams").out
    assert "listed" not in mainstem("groups --list --protocol connect").out


def test_offsets(mainstem: Run, topic: str) -> None:
    ends = json.loads(mainstem(f"get-offsets --topic {topic} --json").out)
    assert [(each["topic"], each["partition"]) for each in ends] == [(topic, 0), (topic, 1)]
    assert sum(each["offset"] for each in ends) == 5
    assert mainstem(f"get-offsets --topic-partitions {topic}:1- --time earliest").out == f"{topic}:1:0\n"
    assert mainstem(f"get-offsets --topic {topic} --time 9999999999999").out == ""


def test_records_are_deleted(mainstem: Run, topic: str, tmp_path: Path) -> None:
    path = tmp_path / "offsets.json"
    wanted = [{"topic": topic, "partition": 0, "offset": -1}, {"topic": "nosuch", "partition": 0, "offset": 1}]
    path.write_text(json.dumps({"partitions": wanted, "version": 1}))
    done = mainstem(f"delete-records --offset-json-file {path} --json")
    deleted, unknown = json.loads(done.out)
    assert done.status == 1
    assert (deleted["low_watermark"], deleted["error"]) == (
        int(mainstem(f"get-offsets --topic {topic} --partitions 0").out.rpartition(":")[2]),
        None,
    )
    assert (unknown["topic"], unknown["error"]) == ("nosuch", "UNKNOWN_TOPIC_OR_PARTITION")
    path.write_text(json.dumps({"partitions": wanted[:1]}))
    assert mainstem(f"delete-records --offset-json-file {path}").out.splitlines()[0] == (
        "Executing records delete operation"
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "not a valid JSON object"),
        ('{"partitions": 3}', "must be a list of objects"),
        ('{"partitions": [3]}', "must be a list of objects"),
        ('{"partitions": [{"topic": 3, "partition": 0, "offset": 0}]}', "`topic` must be a string, not 3"),
        (
            '{"partitions": [{"topic": "t", "partition": "0", "offset": 0}]}',
            '`partition` must be a whole number, not "0"',
        ),
        ('{"partitions": [{"topic": "t", "partition": true, "offset": 0}]}', "must be a whole number, not true"),
    ],
)
def test_files_that_make_no_sense_are_refused(mainstem: Run, tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "offsets.json"
    path.write_text(content)
    done = mainstem(f"delete-records --offset-json-file {path}")
    assert (done.status, done.out) == (1, "")
    assert problem in done.err


def test_log_directories(mainstem: Run, topic: str) -> None:
    document = json.loads(mainstem(f"log-dirs --describe --topic-list {topic} --json").out)
    (broker,) = document["brokers"]
    partitions = [each["partition"] for log_dir in broker["logDirs"] for each in log_dir["partitions"]]
    assert sorted(partitions) == [f"{topic}-0", f"{topic}-1"]
    assert "ids of brokers" in mainstem("log-dirs --describe --broker-list one").err


def test_the_cluster_and_its_features(mainstem: Run, bootstrap: str) -> None:
    cluster_id = json.loads(mainstem("cluster cluster-id --json").out)["cluster_id"]
    assert mainstem("cluster cluster-id").out == f"Cluster ID: {cluster_id}\n"
    (endpoint,) = json.loads(mainstem("cluster list-endpoints --json").out)
    assert f"{endpoint['host']}:{endpoint['port']}" == bootstrap
    assert "KRaft" in mainstem("cluster cluster-id --bootstrap-controller x:1").err
    features = {each["name"] for each in json.loads(mainstem("features describe --json").out)}
    assert all(f"Feature: {name}\t" in mainstem("features describe").out for name in features)
    refused = mainstem("features upgrade --feature no.such=1")
    assert (refused.status, refused.err) == (1, "1 out of 1 operation(s) failed.\n")
    assert refused.out.startswith("Could not upgrade no.such to 1. ")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("features describe --feature a=1", '"--feature" can\'t be used with option "describe"'),
        ("features upgrade", "at least one feature"),
        ("features upgrade --feature a", "Can't parse feature=level string a"),
        ("features disable --feature a=1", "Can't disable a=1"),
        ("features upgrade --metadata 4.1", "KRaft quorum"),
        ("features", "mainstem features needs an action: describe, upgrade, downgrade, "),
        ("leader-election --election-type preferred --all-topic-partitions --topic t", "One and only one"),
        ("leader-election --election-type other --all-topic-partitions", "other is not an election type"),
        ("leader-election --election-type preferred --all-topic-partitions --partition 1", "only allowed if topic"),
        ("reassign-partitions --generate --broker-list 1", 'Missing required argument "[topics-to-move-json-file]"'),
        ("reassign-partitions --list --broker-list 1", 'can\'t be used with option "--list"'),
        ("reassign-partitions --execute --reassignment-json-file f --throttle 5", "replication is not throttled"),
        ("transactions list --topic t", 'Option "--topic" can\'t be used with option "list"'),
        ("transactions describe", 'Missing required argument "[transactional-id]"'),
        ("transactions abort --topic t --partition 0 --producer-id 1", "Missing required argument --producer-epoch"),
        ("transactions rewind", "there is no action rewind; there are list, describe, "),
        ("transactions describ", "there is no action describ; did you mean describe?"),
        ("producer-perf-test --topic t --num-records 1 --throughput -1", "exactly one of the arguments"),
        ("producer-perf-test --topic t --num-records 0 --record-size 1 --throughput -1", "--num-records should be"),
        ("producer-perf-test --topic t --num-records 1 --record-size 0 --throughput -1", "--record-size should be"),
        (
            "producer-perf-test --topic t --num-records 1 --payload-file /nowhere --throughput -1",
            "/nowhere: No such file",
        ),
        ("consumer-perf-test --topic t", 'Missing required argument "[messages]"'),
        ("consumer-perf-test --topic t --messages 1 --date-format Q", "the letter Q is not known"),
        ("verifiable-producer --max-messages 1", 'Missing required argument "[topic]"'),
        ("verifiable-consumer --topic t", 'Missing required argument "[group-id]"'),
        ("verifiable-consumer --topic t --group-id g --group-protocol share", "share is not a group protocol"),
        ("verifiable-consumer --topic t --group-id g --assignment-strategy My", "My is not a strategy here"),
        ("console-producer --topic t --line-reader com.example.Mine", "com.example.Mine is a class for Java"),
        ("topics --list --zookeeper localhost:2181", "say --bootstrap-server"),
    ],
)
def test_what_makes_no_sense_is_refused(mainstem: Run, line: str, problem: str) -> None:
    done = mainstem(line)
    assert (done.status, done.out) == (1, "")
    assert problem in done.err


def test_plans_are_read_checked_and_proposed(mainstem: Run, topic: str, tmp_path: Path) -> None:
    topics, plan = tmp_path / "topics.json", tmp_path / "plan.json"
    topics.write_text(json.dumps({"topics": [{"topic": topic}], "version": 1}))
    lines = mainstem(
        f"reassign-partitions --generate --topics-to-move-json-file {topics} --broker-list 1"
    ).out.splitlines()
    assert lines[0] == "Current partition replica assignment"
    assert json.loads(lines[1]) == json.loads(lines[4])
    plan.write_text(lines[4])
    assert (
        f"started partition reassignments for {topic}-0,{topic}-1"
        in mainstem(f"reassign-partitions --execute --reassignment-json-file {plan}").out
    )
    verified = mainstem(f"reassign-partitions --verify --reassignment-json-file {plan} --preserve-throttles").out
    assert verified.splitlines()[1:] == [f"Reassignment of partition {topic}-{n} is completed." for n in (0, 1)]
    assert json.loads(mainstem("reassign-partitions --list --json").out) == []


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"topic": "t", "partition": 0, "replicas": []}, "Partition replica list cannot be empty"),
        ({"topic": "t", "partition": 0, "replicas": [1, 1]}, "may not contain duplicate entries"),
        ({"topic": "t", "partition": 0, "replicas": ["1"]}, "must be a list of whole numbers"),
        ({"topic": "t", "partition": 0, "replicas": [1], "log_dirs": ["/data"]}, "cannot be moved between folders"),
        ({"topic": "t", "partition": 0, "replicas": [1], "log_dirs": []}, "is different from size of log dirs"),
        ({"topic": "nosuch", "partition": 0, "replicas": [1]}, "does not host this topic-partition"),
    ],
)
def test_plans_that_make_no_sense_are_refused(
    mainstem: Run, tmp_path: Path, entry: dict[str, object], problem: str
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [entry]}))
    done = mainstem(f"reassign-partitions --execute --reassignment-json-file {plan}")
    assert done.status == 1
    assert done.out.startswith("Error: ")
    assert problem in done.out


def test_an_open_transaction_is_seen_found_and_ended(mainstem: Run, bootstrap: str) -> None:
    mainstem("topics --create --topic in-transaction")
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "payments"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("in-transaction", "unseen")
    producer.flush(30)
    (listed,) = json.loads(mainstem("transactions list --json").out)
    assert (listed["transactional_id"], listed["state"]) == ("payments", "Ongoing")
    assert json.loads(mainstem("transactions list --duration-filter 3600000 --json").out) == []
    described = json.loads(mainstem("transactions describe --transactional-id payments --json").out)
    assert described["partitions"] == [["in-transaction", 0]] or described["partitions"] == [
        {"topic": "in-transaction", "partition": 0}
    ]
    in_partition = "--topic in-transaction --partition 0"
    (known,) = json.loads(mainstem(f"transactions describe-producers {in_partition} --json").out)
    assert (known["producer_id"], known["start_offset"]) == (listed["producer_id"], 0)
    # Nothing hangs: the coordinator knows the transaction, however long it has been open.
    hanging = "transactions find-hanging --max-transaction-timeout -1 --topic in-transaction --json"
    assert json.loads(mainstem(hanging).out) == []
    assert mainstem("transactions forceTerminateTransaction --transactionalId payments").status == 0
    assert mainstem("transactions list").out.split()[-1] == "Empty"


def test_perf_tests_measure_what_they_were_told_to(mainstem: Run, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text("one|three")
    sent = json.loads(
        mainstem(
            f"producer-perf-test --topic measured --num-records 50 --payload-file {lines} --payload-delimiter |"
            " --throughput -1 --json"
        ).out
    )
    assert sent["records"] == 50
    assert 0 <= sent["latency_p50_ms"] <= sent["latency_p99_ms"] <= sent["latency_max_ms"]
    counted = mainstem("producer-perf-test --topic counted --num-records 3 --payload-monotonic --throughput 1000")
    assert re.fullmatch(
        r"3 records sent, [\d.]+ records/sec \([\d.]+ MB/sec\), [\d.]+ ms avg latency, [\d.]+ ms max latency,"
        r" \d+ ms 50th, \d+ ms 95th, \d+ ms 99th, \d+ ms 99\.9th\.\n",
        counted.out,
    )
    values = mainstem("console-consumer --topic counted --from-beginning --max-messages 3").out
    assert values == "0\n1\n2\n"
    read = json.loads(mainstem("consumer-perf-test --topic measured --messages 50 --json").out)
    assert read["records"] == 50
    late = mainstem("consumer-perf-test --topic measured --messages 51 --timeout 500 --hide-header")
    assert late.out.startswith("WARNING: Exiting before consuming the expected number of messages")


def test_transactions_of_a_perf_test_are_committed(mainstem: Run) -> None:
    mainstem(
        "producer-perf-test --topic committed --num-records 20 --record-size 5 --throughput -1"
        " --transaction-duration-ms 60000"
    )
    read = "console-consumer --topic committed --from-beginning --isolation-level read_committed --max-messages 20"
    assert len(mainstem(f"{read} --timeout-ms 20000").out.splitlines()) == 20


def test_verifiable_clients_tell_what_happens(mainstem: Run) -> None:
    events = [
        json.loads(line)
        for line in mainstem("verifiable-producer --topic verified --max-messages 3 --value-prefix 7").out.splitlines()
    ]
    assert [event["name"] for event in events] == [
        "startup_complete",
        *["producer_send_success"] * 3,
        "shutdown_complete",
        "tool_data",
    ]
    assert sorted(event["value"] for event in events if "value" in event) == ["7.0", "7.1", "7.2"]
    assert (events[-1]["sent"], events[-1]["acked"]) == (3, 3)
    events = [
        json.loads(line)
        for line in mainstem(
            "verifiable-consumer --topic verified --group-id v --max-messages 3 --verbose"
        ).out.splitlines()
    ]
    names = [event["name"] for event in events]
    assert names[:2] == ["startup_complete", "partitions_assigned"]
    assert names[-2:] == ["partitions_revoked", "shutdown_complete"]
    assert names.count("record_data") == 3
    assert sum(event["count"] for event in events if event["name"] == "records_consumed") == 3
    committed = [event for event in events if event["name"] == "offsets_committed"]
    assert committed[-1]["success"]
    assert committed[-1]["offsets"] == [{"topic": "verified", "partition": 0, "offset": 3}]


def test_offsets_are_forgotten(mainstem: Run, topic: str) -> None:
    mainstem(f"console-consumer --topic {topic} --group forgetful --from-beginning --max-messages 5")
    forget = f"consumer-groups --delete-offsets --group forgetful --topic {topic}:1 --topic nosuch"
    assert json.loads(mainstem(f"{forget} --json").out)["partitions"] == [
        {"topic": "nosuch", "partition": -1, "error": "UNKNOWN_TOPIC_OR_PARTITION"},
        {"topic": topic, "partition": 1, "error": "NONE"},
    ]
    (document,) = json.loads(mainstem("consumer-groups --describe --group forgetful --json").out)
    assert [each["partition"] for each in document["offsets"]] == [0]


def test_api_versions(mainstem: Run) -> None:
    (document,) = json.loads(mainstem("broker-api-versions --json").out)
    produce = next(each for each in document["apis"] if each["key"] == 0)
    assert produce == {"key": 0, "name": "Produce", "min": 0, "max": 13}
    assert "\tProduce(0): 0 to 13 [usable: 13],\n" in mainstem("broker-api-versions").out


def test_what_changes_something_says_so_as_json(mainstem: Run, tmp_path: Path) -> None:
    assert json.loads(mainstem("topics --create --topic said.so --json").out) == ["said.so"]
    assert json.loads(mainstem("topics --create --topic said.so --if-not-exists --json").out) == []
    again = mainstem("topics --create --topic said.so --json")
    assert (again.status, again.out) == (1, "")
    assert "already exists" in again.err
    assert json.loads(mainstem("topics --alter --topic said.so --partitions 2 --json").out) == ["said.so"]
    changed = json.loads(mainstem("configs --alter --topic said.so --add-config retention.ms=5 --json").out)
    assert (changed["added"], changed["deleted"]) == ({"retention.ms": "5"}, [])
    sent = json.loads(mainstem("console-producer --topic said.so --json", b"one\ntwo\n").out)
    assert sent == {"topic": "said.so", "sent": 2, "failed": 0}
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"partitions": [{"topic": "said.so", "partition": 0, "replicas": [1]}]}))
    before = json.loads(mainstem(f"reassign-partitions --execute --reassignment-json-file {plan} --json").out)
    assert before["partitions"][0]["replicas"] == [1]
    (progress,) = json.loads(mainstem(f"reassign-partitions --verify --reassignment-json-file {plan} --json").out)
    assert progress["state"] == "completed"
    assert json.loads(mainstem(f"reassign-partitions --cancel --reassignment-json-file {plan} --json").out) == []
    (feature,) = json.loads(mainstem("features upgrade --feature no.such=1 --json").out)
    assert (feature["feature"], feature["level"], feature["error"] is None) == ("no.such", 1, False)
    assert json.loads(mainstem("topics --delete --topic said.so --json").out) == ["said.so"]
