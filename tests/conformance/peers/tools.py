"""Apache Kafka's own command line tools, run by main class: what bin/kafka-*.sh would start."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peers.class_path import LOG_CONFIGURATION, kafka_class_path

_TOOL_TIMEOUT_S = 90.0

_MAIN_CLASSES = {
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-dump-log": "kafka.tools.DumpLogSegments",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
}


_SMALL_JVM = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:cds=off,cds+dynamic=off")

# kafka-run-class.sh with the heap that kafka-producer-perf-test.sh and kafka-consumer-perf-test.sh ask for.
_MEASURED_JVM = (
    "-Xmx512M",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
)


@dataclass(frozen=True)
class Finished:
    """What a tool printed and how it ended."""

    command: str
    exit_code: int
    output: str
    errors: str

    def lines(self) -> list[str]:
        return [line.strip() for line in self.output.splitlines() if line.strip()]

    def succeeded(self) -> "Finished":
        """Return itself, or fail the test with everything the tool said."""
        assert self.exit_code == 0, f"{self.command} ended with {self.exit_code}\n{self.output}\n{self.errors}"
        return self


class KafkaTools:
    """The tools against one broker; `run` adds `--bootstrap-server` unless told otherwise."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def run(self, tool: str, *arguments: str, stdin: str | None = None, timeout_s: float = _TOOL_TIMEOUT_S) -> Finished:
        """Run a tool, named as its script is, to its end and return what it printed."""
        return run_tool(tool, ["--bootstrap-server", self.bootstrap, *arguments], stdin=stdin, timeout_s=timeout_s)

    def start(self, tool: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a tool that does not end by itself; the caller ends it."""
        return subprocess.Popen(
            _command(tool, ["--bootstrap-server", self.bootstrap, *arguments]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_environment(),
        )


def run_measured_tool(tool: str, arguments: Sequence[str], *, timeout_s: float = _TOOL_TIMEOUT_S) -> Finished:
    """Run a tool with the JVM flags of Kafka's own scripts: slower to start, and as fast as it is meant to be.

    Raises:
        subprocess.TimeoutExpired: it did not end in `timeout_s`.
    """
    command = _command(tool, arguments, jvm=_MEASURED_JVM)
    finished = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, env=_environment()
    )
    return Finished(" ".join([tool, *arguments]), finished.returncode, finished.stdout, finished.stderr)


def run_tool(
    tool: str, arguments: Sequence[str], *, stdin: str | None = None, timeout_s: float = _TOOL_TIMEOUT_S
) -> Finished:
    """Run a tool with exactly these arguments to its end.

    Raises:
        subprocess.TimeoutExpired: it did not end in `timeout_s`.
    """
    archive = _class_archive(tool)
    written = archive.with_suffix(f".{os.getpid()}") if not archive.exists() else None
    sharing = f"-XX:SharedArchiveFile={archive}" if written is None else f"-XX:ArchiveClassesAtExit={written}"
    finished = subprocess.run(
        _command(tool, arguments, sharing),
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=_environment(),
    )
    if written is not None and written.exists():
        # Renamed when complete, so that no other process opens half an archive.
        written.rename(archive)
    return Finished(" ".join([tool, *arguments]), finished.returncode, finished.stdout, finished.stderr)


def _class_archive(tool: str) -> Path:
    """Where the JVM keeps the loaded classes of a tool, which spends most of its time on loading them."""
    return Path(kafka_class_path()).parent.parent / f"{tool}.jsa"


def _command(
    tool: str, arguments: Sequence[str], sharing: str = "-Xshare:auto", jvm: Sequence[str] = _SMALL_JVM
) -> list[str]:
    logging = [f"-Dlog4j2.configurationFile={LOG_CONFIGURATION}", "-Dkafka.log.level=WARN"]
    return ["java", *jvm, sharing, *logging, "-cp", kafka_class_path(), _MAIN_CLASSES[tool], *arguments]


def _environment() -> dict[str, str]:
    # Anything in these would be added to, or change, what the tool does.
    return {name: value for name, value in os.environ.items() if name not in ("JAVA_TOOL_OPTIONS", "KAFKA_OPTS")}
