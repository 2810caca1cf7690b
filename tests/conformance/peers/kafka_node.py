"""One real Apache Kafka broker: a single combined KRaft node."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from peers.class_path import LOG_CONFIGURATION, PeerUnavailableError, kafka_class_path
from peers.node import BrokerNode, free_ports

_FORMAT_TIMEOUT_S = 60.0

SMALL_JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""Starts quickly and leaves memory to the tests; for anything that is not measured."""

KAFKA_JVM = (
    "-Xmx1G",
    "-Xms1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
)
"""What kafka-server-start.sh of Apache Kafka 4.1 passes: the settings a measurement must be made with."""


class KafkaNode(BrokerNode):
    """Apache Kafka 4.1, formatted anew for each start."""

    name = "kafka"

    def __init__(
        self,
        *,
        overrides: Mapping[str, str] | None = None,
        parent_folder: Path | None = None,
        jvm: tuple[str, ...] = SMALL_JVM,
    ) -> None:
        super().__init__(overrides=overrides, parent_folder=parent_folder)
        self._jvm = jvm

    def prepare(self) -> list[str]:
        broker_port, controller_port = free_ports(2)
        self.bootstrap = f"127.0.0.1:{broker_port}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.log_dir),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            **self.overrides,
        }
        properties = self.folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        logging = f"-Dlog4j2.configurationFile={LOG_CONFIGURATION}"
        java = ["java", *self._jvm, logging, "-Djava.awt.headless=true", "-cp", kafka_class_path()]
        self._format(java, properties)
        return [*java, "kafka.Kafka", str(properties)]

    def _format(self, java: list[str], properties: Path) -> None:
        # Kafka makes no id that begins with a dash either: its tools would take it for an option.
        cluster_id = "k" + urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        tool = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)]
        finished = subprocess.run(tool, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False)
        if finished.returncode != 0:
            raise PeerUnavailableError(f"Kafka could not format its log dir:\n{finished.stderr[-4000:]}")
