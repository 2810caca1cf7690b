"""One real Apache Kafka broker (a single combined KRaft node) on free loopback ports."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from peers.api_versions import ask_served_versions
from peers.class_path import LOG_CONFIGURATION, PeerUnavailableError, kafka_class_path

_READY_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 30.0
_START_ATTEMPTS = 3

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


class KafkaNode:
    """A broker that lives as long as the `with` block: formatted, started, answering; removed at its end.

    `overrides` are lines of server.properties. `log_dir` holds its log folders, `log_path` what it printed.
    """

    def __init__(
        self,
        *,
        overrides: Mapping[str, str] | None = None,
        jvm: tuple[str, ...] = SMALL_JVM,
        folder: Path | None = None,
    ) -> None:
        self._overrides = dict(overrides or {})
        self._jvm = jvm
        self._parent = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()
        self.bootstrap = ""
        self.seconds_to_answer = 0.0

    @property
    def log_dir(self) -> Path:
        return self._folder / "data"

    @property
    def log_path(self) -> Path:
        return self._folder / "kafka.log"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the broker has not been started"
        return self._process.pid

    def __enter__(self) -> "KafkaNode":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the broker and return when it answers.

        A free port can be taken by someone else between the moment it is found and the moment Kafka
        binds it, so a broker that dies while starting is tried again on other ports.

        Raises:
            PeerUnavailableError: it did not answer; the text holds the end of its log.
        """
        class_path = kafka_class_path()
        for attempt in range(1, _START_ATTEMPTS + 1):
            self._folder = Path(tempfile.mkdtemp(prefix="kafka-peer-", dir=self._parent))
            self._format(class_path)
            began = time.monotonic()
            with self.log_path.open("wb") as log:
                self._process = subprocess.Popen(
                    [*self._java(class_path), "kafka.Kafka", str(self._folder / "server.properties")],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                )
            if self._answers(began):
                self.seconds_to_answer = time.monotonic() - began
                return
            printed = self.log_path.read_text(errors="replace")[-4000:]
            self.stop()
            if attempt == _START_ATTEMPTS:
                raise PeerUnavailableError(f"Apache Kafka did not start:\n{printed}")

    def stop(self) -> None:
        """End the broker cleanly (by force when it does not end) and remove its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _java(self, class_path: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={LOG_CONFIGURATION}"
        return ["java", *self._jvm, logging, "-Djava.awt.headless=true", "-cp", class_path]

    def _format(self, class_path: str) -> None:
        broker_port, controller_port = _free_ports(2)
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
            **self._overrides,
        }
        properties = self._folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        finished = subprocess.run(
            [
                *self._java(class_path),
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster_id,
                "-c",
                str(properties),
            ],
            capture_output=True,
            text=True,
            timeout=_READY_TIMEOUT_S,
            check=False,
        )
        if finished.returncode != 0:
            raise PeerUnavailableError(
                f"Apache Kafka could not format its log dir:\n{finished.stderr[-4000:]}"
            )

    def _answers(self, began: float) -> bool:
        """Ask until the broker answers; False when it died or `_READY_TIMEOUT_S` passed since `began`."""
        assert self._process is not None, "asked before the start"
        while time.monotonic() - began < _READY_TIMEOUT_S:
            try:
                # The listener opens when the node is registered and unfenced, so an answer means it is ready.
                return ask_served_versions(self.bootstrap, timeout_s=5.0).error_code == 0
            except OSError:
                try:
                    self._process.wait(0.02)
                except subprocess.TimeoutExpired:
                    continue
                return False
        return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
