"""The brokers that are measured, as their users start them, side by side for the whole run."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "conformance"))

from peers.class_path import PeerUnavailableError, kafka_class_path
from peers.kafka_node import KAFKA_JVM, KafkaNode
from peers.mainstem_node import MainstemNode
from peers.node import BrokerNode
from peers.tools import run_measured_tool

__all__ = [
    "SUBJECTS",
    "BrokerNode",
    "MainstemNode",
    "PeerUnavailableError",
    "Topics",
    "folder_bytes",
    "kafka_class_path",
    "new_broker",
    "run_measured_tool",
]

_TIMEOUT_S = 60.0

# Files of deleted topics go at once: a run writes far more than it may keep.
OVERRIDES = {"log.segment.delete.delay.ms": "0", "offsets.topic.num.partitions": "4"}

SUBJECTS = ("mainstem", "kafka")


def new_broker(subject: str, folder: Path, overrides: Mapping[str, str] | None = None) -> BrokerNode:
    """A broker of that name, not yet started, with its data below `folder`."""
    overrides = {**OVERRIDES, **(overrides or {})}
    match subject:
        case "mainstem":
            return MainstemNode(overrides=overrides, parent_folder=folder)
        case "kafka":
            return KafkaNode(overrides=overrides, parent_folder=folder, jvm=KAFKA_JVM)
    raise ValueError(f"unknown broker {subject}: there are {', '.join(SUBJECTS)}")


class Topics:
    """Makes and deletes the topics of one broker."""

    def __init__(self, bootstrap: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self._timeout_s = timeout_s

    def create(self, name: str, partitions: int, configs: dict[str, str]) -> None:
        topic = NewTopic(name, partitions, 1, config=configs)
        created = self._admin.create_topics([topic], request_timeout=self._timeout_s)
        created[name].result(self._timeout_s)

    def delete(self, name: str) -> None:
        self._admin.delete_topics([name])[name].result(self._timeout_s)


def folder_bytes(folder: Path) -> int:
    """What the files below a folder take on the disk, also while some of them are being deleted."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
