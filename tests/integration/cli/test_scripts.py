"""The commands of tutorials for Kafka, as they are printed there, run by a shell on the scripts that we write.

Only the port is another than the printed 9092, so that two runs of these tests do not meet.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainstem.cli.install_scripts import main as install
from mainstem.cli.script_texts import INSTEAD, TOOLS

TIMEOUT_S = 60
PRINTED_PORT = "9092"


class Shell:
    """A shell in the folder where somebody has unpacked Kafka, that is: where our scripts are."""

    def __init__(self, base: Path, port: int) -> None:
        self.base = base
        self._port = str(port)
        # A tutorial's reader has no settings for Kafka in the environment.
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("KAFKA_") and name != "LOG_DIR"
        }
        self.environment |= {"PYTHONUNBUFFERED": "1", "MAINSTEM_PYTHON": sys.executable}

    def run(self, command: str, stdin: str = "") -> str:
        """What a command prints. It must end well."""
        done = subprocess.run(
            ["sh", "-c", self._adapted(command)],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.base,
            env=self.environment,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, command: str) -> subprocess.Popen[str]:
        """A command that runs until it is ended."""
        return subprocess.Popen(
            ["sh", "-c", f"exec {self._adapted(command)}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.base,
            env=self.environment,
        )

    def read_lines(self, command: str, count: int) -> list[str]:
        """The first lines of a command that runs until Ctrl-C, which then comes."""
        process = self.start(command)
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip("\n") for _ in range(count)]
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode in (0, 130), rest
        return lines

    def _adapted(self, command: str) -> str:
        return command.replace(PRINTED_PORT, self._port)

    def wait_for_broker(self) -> None:
        ends = time.monotonic() + TIMEOUT_S
        while time.monotonic() < ends:
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", int(self._port))) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the broker does not answer")


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """With `mainstem install-scripts bin` done. Whatever was started is stopped at the end."""
    base = tmp_path / "kafka dir"
    assert install([str(base / "bin")]) == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for path in (base / "config").iterdir():
        path.write_text(path.read_text().replace(PRINTED_PORT, str(port)))
    shell = Shell(base, port)
    yield shell
    subprocess.run([base / "bin" / "kafka-server-stop.sh"], env=shell.environment, check=False, timeout=TIMEOUT_S)


def test_the_quickstart_of_kafka_4_1(shell: Shell) -> None:
    cluster_id = shell.run(
        'KAFKA_CLUSTER_ID="$(bin/kafka-storage.sh random-uuid)"\n'
        "bin/kafka-storage.sh format --standalone -t $KAFKA_CLUSTER_ID -c config/server.properties > formatted\n"
        "echo $KAFKA_CLUSTER_ID"
    ).strip()
    server = shell.start("bin/kafka-server-start.sh config/server.properties")
    try:
        shell.wait_for_broker()
        created = shell.run("bin/kafka-topics.sh --create --topic quickstart-events --bootstrap-server localhost:9092")
        assert created == "Created topic quickstart-events.\n"
        shown = shell.run("bin/kafka-topics.sh --describe --topic quickstart-events --bootstrap-server localhost:9092")
        assert shown.startswith("Topic: quickstart-events\tTopicId: ")
        assert "\tPartitionCount: 1\tReplicationFactor: 1\tConfigs: " in shown
        assert "\tTopic: quickstart-events\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1\t" in shown
        events = "This is my first event\nThis is my second event\n"
        shell.run(
            "bin/kafka-console-producer.sh --topic quickstart-events --bootstrap-server localhost:9092", stdin=events
        )
        read = (
            "bin/kafka-console-consumer.sh --topic quickstart-events --from-beginning --bootstrap-server localhost:9092"
        )
        assert shell.read_lines(read, 2) == events.splitlines()
        shown = shell.run("bin/kafka-cluster.sh cluster-id --bootstrap-server localhost:9092")
        assert shown == f"Cluster ID: {cluster_id}\n"
        server.send_signal(signal.SIGINT)
    finally:
        output, _ = server.communicate(timeout=TIMEOUT_S)
    assert server.returncode == 0, output


def test_the_classic_tutorial(shell: Shell) -> None:
    """Daemon, topic, records, groups, perf tests, stop."""
    assert "needs no" in shell.run("bin/zookeeper-server-stop.sh")
    assert "kafka-server-start.sh config/server.properties" in shell.run(
        "bin/zookeeper-server-start.sh config/zookeeper.properties"
    )
    assert "runs in the background" in shell.run("bin/kafka-server-start.sh -daemon config/server.properties")
    create = "bin/kafka-topics.sh --create --bootstrap-server localhost:9092 --replication-factor 1"
    assert shell.run(f"{create} --partitions 1 --topic test") == "Created topic test.\n"
    assert shell.run("bin/kafka-topics.sh --list --bootstrap-server localhost:9092") == "test\n"
    shell.run(
        "bin/kafka-console-producer.sh --bootstrap-server localhost:9092 --topic test",
        stdin="This is a message\nThis is another message\n",
    )
    consume = "bin/kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic test --from-beginning"
    assert shell.read_lines(consume, 2) == ["This is a message", "This is another message"]
    assert shell.run(f"{consume} --group readers --max-messages 1") == "This is a message\n"
    groups = "bin/kafka-consumer-groups.sh --bootstrap-server localhost:9092"
    assert "readers" in shell.run(f"{groups} --list").splitlines()
    _, header, row = shell.run(f"{groups} --describe --group readers").splitlines()
    assert dict(zip(header.split(), row.split(), strict=True))["LAG"] == "1"
    moved = shell.run(f"{groups} --group readers --reset-offsets --to-latest --topic test --execute")
    assert moved.splitlines()[2].split() == ["readers", "test", "0", "2"]
    shell.run(f"{create} --partitions 2 --topic perf")
    sent = shell.run(
        "bin/kafka-producer-perf-test.sh --topic perf --num-records 1000 --record-size 100 --throughput -1"
        " --producer-props bootstrap.servers=localhost:9092 acks=all"
    )
    assert sent.startswith("1000 records sent, ")
    read = shell.run(
        "bin/kafka-consumer-perf-test.sh --bootstrap-server localhost:9092 --topic perf --messages 1000"
    ).splitlines()
    assert dict(zip(read[0].split(", "), read[1].split(", "), strict=True))["data.consumed.in.nMsg"] == "1000"
    offsets = shell.run(
        "bin/kafka-run-class.sh kafka.tools.GetOffsetShell --bootstrap-server localhost:9092 --topic test"
    )
    assert offsets == "test:0:2\n"
    shell.run(
        "bin/kafka-configs.sh --bootstrap-server localhost:9092 --entity-type topics --entity-name test --alter"
        " --add-config retention.ms=100000"
    )
    assert "retention.ms=100000" in shell.run(
        "bin/kafka-topics.sh --describe --topic test --bootstrap-server localhost:9092"
    )
    shell.run("bin/kafka-topics.sh --delete --topic test --bootstrap-server localhost:9092")
    assert "broker.started" in (shell.base / "logs" / "kafkaServer.out").read_text()
    shell.run("bin/kafka-server-stop.sh")
    stopped = subprocess.run([shell.base / "bin" / "kafka-server-stop.sh"], capture_output=True, text=True, check=False)
    assert (stopped.returncode, stopped.stdout) == (1, "No kafka server to stop\n")


def test_every_script_is_a_shell_script_that_calls_its_command(shell: Shell) -> None:
    names = {path.name for path in (shell.base / "bin").iterdir()}
    assert {f"kafka-{tool}.sh" for tool in TOOLS} | set(INSTEAD) <= names
    for tool in TOOLS:
        assert f"usage: mainstem {tool}" in shell.run(f"bin/kafka-{tool}.sh --help")
        assert shell.run(f"bin/kafka-{tool}.sh --version").startswith("4.1.")


def test_a_broker_that_cannot_start_in_the_background_says_why(shell: Shell) -> None:
    done = subprocess.run(
        ["sh", "-c", "bin/kafka-server-start.sh -daemon config/server.properties --override num.partitions=none"],
        capture_output=True,
        text=True,
        cwd=shell.base,
        env=shell.environment,
        check=False,
    )
    assert done.returncode == 1
    assert "num.partitions='none' is not valid" in done.stderr
    with socket.create_server(("127.0.0.1", int(shell._port))):
        taken = subprocess.run(
            ["sh", "-c", "bin/kafka-server-start.sh -daemon config/server.properties"],
            capture_output=True,
            text=True,
            cwd=shell.base,
            env=shell.environment,
            check=False,
        )
    assert taken.returncode == 1
    assert "cannot listen there" in taken.stderr
    assert "the broker did not start" in taken.stderr


def test_only_the_named_node_is_stopped(shell: Shell) -> None:
    shell.run("bin/kafka-server-start.sh -daemon config/server.properties")
    other = subprocess.run([shell.base / "bin" / "kafka-server-stop.sh", "--node-id=7"], check=False)
    assert other.returncode == 1
    shell.wait_for_broker()
    shell.run("bin/kafka-server-stop.sh --process-role=broker --node-id=1")


def test_a_file_of_a_broker_that_is_gone_is_no_broker(tmp_path: Path) -> None:
    from mainstem.cli.pid_files import path_of, pid_file, running

    with pid_file(tmp_path, 3) as write:
        assert running(tmp_path) == []
        write()
        (found,) = running(tmp_path)
        assert (found.pid, found.node_id) == (os.getpid(), 3)
        # The number of this process, but of an earlier one.
        path_of(tmp_path, 1).write_text(f'{{"pid": {os.getpid()}, "node_id": 4, "birth": "before"}}')
        path_of(tmp_path, 2).write_text("half a fi")
        assert running(tmp_path) == [found]
    assert running(tmp_path) == []


def test_a_broker_serves_although_its_file_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mainstem.cli.pid_files import pid_file

    (tmp_path / "file").write_text("")
    with pid_file(tmp_path / "file", 1) as write:
        write()
    assert "cannot be written: " in capsys.readouterr().err


def test_scripts_of_somebody_else_are_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mainstem.cli.main import main

    theirs = tmp_path / "bin" / "kafka-topics.sh"
    theirs.parent.mkdir()
    theirs.write_text("#!/bin/bash\nexec kafka-run-class.sh\n")
    assert main(["install-scripts", str(tmp_path / "bin")]) == 1
    assert "kafka-topics.sh of somebody else" in capsys.readouterr().err
    assert theirs.read_text().startswith("#!/bin/bash")
    assert main(["install-scripts", str(tmp_path / "bin"), "--force"]) == 0
    properties = tmp_path / "config" / "server.properties"
    properties.write_text("node.id=5\n")
    assert main(["install-scripts", str(tmp_path / "bin")]) == 0
    assert properties.read_text() == "node.id=5\n"


def test_log_directories_are_formatted_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mainstem.cli.main import main

    properties = tmp_path / "server.properties"
    properties.write_text(f"node.id=4\nlog.dirs={tmp_path / 'a'},{tmp_path / 'b'}\n")
    assert main(["storage", "random-uuid"]) == 0
    cluster_id = capsys.readouterr().out.strip()
    assert len(cluster_id) == 22
    line = ["storage", "format", "-t", cluster_id, "-c", str(properties)]
    assert main(line) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Formatting metadata directory {tmp_path / 'a'} for cluster {cluster_id}.",
        f"Formatting data directory {tmp_path / 'b'} for cluster {cluster_id}.",
    ]
    assert f"cluster.id={cluster_id}\nnode.id=4\n" in (tmp_path / "b" / "meta.properties").read_text()
    assert main(line) == 1
    assert "is already formatted. Use --ignore-formatted" in capsys.readouterr().err
    assert main([*line, "--ignore-formatted"]) == 0
    assert capsys.readouterr().out == "All of the log directories are already formatted.\n"
    assert main([*line, "--ignore-formatted", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"cluster_id": cluster_id, "formatted": []}
    assert main(["storage", "info", "-c", str(properties), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[str(tmp_path / "a")]["cluster.id"] == cluster_id
    assert main(["storage", "info", "-c", str(properties)]) == 0
    assert f"cluster.id={cluster_id}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("format -c FILE", 'Missing required argument "[cluster-id]"'),
        ("format -t AAAAAAAAQACqqqqqqqqqqg", 'Missing required argument "[config]"'),
        ("format -t fish -c FILE", "Cluster ID string fish does not appear to be a valid UUID"),
        ("format -t AAAAAAAAQACqqqqqqqqqqg -c /nowhere", "No such file or directory"),
        ("format -t AAAAAAAAQACqqqqqqqqqqg -c FILE -S SCRAM-SHA-256=[name=a,password=b]", "no SCRAM credentials"),
        ("paint", "there is no action paint; there are random-uuid, "),
    ],
)
def test_what_cannot_be_formatted_is_said(
    line: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from mainstem.cli.main import main

    properties = tmp_path / "server.properties"
    properties.write_text(f"log.dirs={tmp_path / 'a'}\n")
    assert main(["storage", *line.replace("FILE", str(properties)).split()]) == 1
    assert problem in capsys.readouterr().err
