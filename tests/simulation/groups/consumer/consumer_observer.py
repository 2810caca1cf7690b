"""What was written to the log of a consumer group and told to its members, and what of it must never be.

It knows what members were told and have not let go of yet; it never asks the state machine who owns what.
"""

from __future__ import annotations

from typing import Any

from group_clients import Client, Part
from violation import Violation

from mainstem.core.group.consumer_records import (
    ConsumerGroupStored,
    ConsumerMemberRemoved,
    ConsumerMemberStored,
    CurrentAssignmentStored,
)
from mainstem.core.group.records import GroupRecord, GroupRemoved, GroupStored, OffsetStored
from mainstem.core.group.shard import GroupShard
from mainstem.model.ids import NO_PRODUCER_ID


class Observer:
    """What was written and told. Members are known by the ids they had at the time."""

    def __init__(self, simulation: Any) -> None:
        self.simulation = simulation
        self.lives = 0
        self.taken = 0
        self.commits_written = 0
        self.changes_written = 0
        self.groups_turned = 0
        self.is_replaying = False
        self._is_converting = False
        self._lost_before: dict[str, tuple[int, set[Part]]] = {}
        self._is_consumer = False
        self._epochs: dict[str, int] = {}
        self._removed: set[str] = set()

    def begin_replay(self) -> None:
        """What was lost with the last coordinator was told to nobody: only the log counts."""
        self.is_replaying = True
        self._epochs, self._removed = {}, set()

    def wrote(self, record: GroupRecord) -> None:
        self.changes_written += not isinstance(record, OffsetStored)
        match record:
            case CurrentAssignmentStored():
                self._turned(True)
                self._removed.discard(record.member_id)
                self._epochs[record.member_id] = record.member_epoch
            case GroupRemoved():
                # A classic group becomes a consumer group; members that are in it follow.
                self._is_converting = True
                for client in self.simulation.clients:
                    self._void(client.member_id, is_void=True)
            case ConsumerMemberStored() if self._is_converting:
                self._void(record.member_id, is_void=False)
            case ConsumerGroupStored():
                self._is_converting = False
            case ConsumerMemberRemoved():
                self._removed.add(record.member_id)
                self._void(record.member_id, is_void=True)
            case GroupStored():
                self._turned(False)
                self._epochs = {member.member_id: record.generation for member in record.members}
                self._removed -= self._epochs.keys()
                for client in self.simulation.clients:
                    # Members of the record were not put out if their group has just changed the protocol; others were.
                    self._void(client.member_id, is_void=client.member_id not in self._epochs)
            case OffsetStored() if not self.is_replaying:
                self._committed(record)
            case _:
                pass

    def _void(self, member_id: str, *, is_void: bool) -> None:
        """Who was put out has lost what it had, also if it comes back under the same id before it notices.

        A conversion takes members out and puts them back in one batch, which changes nothing for them.
        """
        now_ms = self.simulation.time.elapsed_ms
        for client in self.simulation.clients:
            if client.member_id == member_id and is_void:
                self._lost_before[client.name] = (now_ms, client.lost)
                client.lost = set(client.owned)
            elif client.member_id == member_id and self._lost_before.get(client.name, (-1,))[0] == now_ms:
                client.lost = self._lost_before.pop(client.name)[1]

    def _turned(self, is_consumer: bool) -> None:
        self.groups_turned += is_consumer is not self._is_consumer and not self.is_replaying
        self._is_consumer = is_consumer

    def _committed(self, record: OffsetStored) -> None:
        member_id, epoch = record.metadata.split("|")
        self.commits_written += 1
        if member_id in self._removed:
            raise Violation(f"a commit of {member_id} was stored after it was put out")
        if self._is_consumer and int(epoch) != self._epochs.get(member_id):
            raise Violation(
                f"a commit of {member_id} in epoch {epoch} was stored, it is in {self._epochs.get(member_id)}"
            )

    def takes(self, client: Client, parts: set[Part]) -> None:
        """A partition is free once whoever had it let go of it, died, or is no member any more.

        Who was put out and does not know it yet may take what it was told before; its commits will tell it.
        """
        self.taken += len(parts)
        members = self.simulation.member_ids()
        if client.member_id not in members:
            return
        for other in self.simulation.clients:
            both = (other.owned - other.lost) & parts
            if both and other is not client and other.is_alive and other.member_id in members:
                raise Violation(f"{both} taken by {client.member_id}, {other.member_id} has it")


class ObservedShard(GroupShard):
    observer: Observer | None = None

    def apply(self, record: GroupRecord, *, offset: int, producer_id: int = NO_PRODUCER_ID) -> None:
        if self.observer is not None:
            self.observer.wrote(record)
        super().apply(record, offset=offset, producer_id=producer_id)
