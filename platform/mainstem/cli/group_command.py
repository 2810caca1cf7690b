"""What `consumer-groups` does once its flags make sense: one method for each action."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mainstem.cli.arguments import Parser
from mainstem.cli.group_offsets import OffsetReset, ResetError, group_lags, wanted_partitions
from mainstem.cli.group_tables import (
    deleted_offsets_table,
    groups_table,
    members_table,
    offsets_table,
    reset_csv,
    reset_table,
    states_table,
)
from mainstem.cli.output import print_error, print_json
from mainstem.client.admin import Admin
from mainstem.client.errors import RefusedError
from mainstem.client.group_descriptions import GroupInfo
from mainstem.client.groups import DeletedOffsets
from mainstem.client.kafka_errors import description
from mainstem.model.errors import ErrorCode
from mainstem.model.ids import TopicPartition

REBALANCING = ("PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling")
RESETTABLE = ("Empty", "Dead")
STATES = ("CompletingRebalance", "Assigning", "Reconciling", "Dead", "Empty", "PreparingRebalance", "Stable")
TYPES = ("Consumer", "Classic")
WHOLE_REQUEST_ERRORS = (
    ErrorCode.INVALID_GROUP_ID,
    ErrorCode.GROUP_ID_NOT_FOUND,
    ErrorCode.GROUP_AUTHORIZATION_FAILED,
    ErrorCode.NON_EMPTY_GROUP,
)
NO_EXECUTE_WARNING = (
    "WARN: No action will be performed as the --execute option is missing. Add --dry-run to say that this is meant."
)


class GroupCommand:
    """One run of the command."""

    def __init__(self, parser: Parser, admin: Admin, options: argparse.Namespace) -> None:
        self._parser = parser
        self._admin = admin
        self._groups = admin.groups()
        self._options = options

    def run(self, action: str) -> int:
        """Raises: UsageError, UnreachableError."""
        actions = {
            "--list": self._list,
            "--describe": self._describe,
            "--delete": self._delete,
            "--delete-offsets": self._delete_offsets,
            "--reset-offsets": self._reset,
        }
        try:
            return actions[action]()
        except RefusedError as error:
            # Kafka prints the cause of a failed description with its class, and of a failed reset without.
            reason = error.message if action == "--reset-offsets" else error.as_java
            return self._failed(f"Executing consumer group command failed due to {reason}")

    def _failed(self, message: str) -> int:
        if self._options.json:
            print_error(message)
            return 1
        print(f"\nError: {message}")
        return 0

    def _chosen(self) -> list[str]:
        if self._options.all_groups:
            return [listing.group for listing in self._groups.consumer_listings()]
        return list(dict.fromkeys(self._options.group))

    def _list(self) -> int:
        state, kind = self._options.state, self._options.type
        states = self._words("state", state or "", STATES)
        types = self._words("types", kind or "", TYPES)
        found = self._groups.consumer_listings(types, states)
        if self._options.json:
            print_json(found)
        elif state is None and kind is None:
            for each in found:
                print(each.group)
        else:
            print(groups_table(found, with_type=kind is not None, with_state=state is not None))
        return 0

    def _words(self, what: str, text: str, allowed: Sequence[str]) -> list[str]:
        """Comma-separated names in any case. Raises: UsageError."""
        known = {name.lower(): name for name in allowed}
        wanted = [word.strip().lower() for word in text.split(",")] if text else []
        if any(word not in known for word in wanted):
            plural = what if what.endswith("s") else f"{what}s"
            self._parser.error(f"Invalid {what} list '{text}'. Valid {plural} are: {', '.join(allowed)}")
        return [known[word] for word in wanted]

    def _describe(self) -> int:
        options = self._options
        described = [self._groups.describe(group) for group in sorted(self._chosen())]
        if options.json:
            documents: list[object] = []
            for group in described:
                is_about_offsets = not options.members and options.state is None
                lags = group_lags(self._admin, group, self._groups.committed(group.group)) if is_about_offsets else ()
                documents.append(
                    {"group": group.group, "state": group.state, "offsets": list(lags)} if is_about_offsets else group
                )
            print_json(documents)
            return 0
        for group in described:
            self._describe_one(group)
        return 0

    def _describe_one(self, group: GroupInfo) -> None:
        rows = []
        if not self._options.members and self._options.state is None:
            rows = list(group_lags(self._admin, group, self._groups.committed(group.group)))
        if group.state == "Empty":
            print_error(f"\nConsumer group '{group.group}' has no active members.")
        elif group.state in REBALANCING:
            print_error(f"\nWarning: Consumer group '{group.group}' is rebalancing.")
        if self._options.members:
            print(members_table(group, with_assignment=self._options.verbose))
        elif self._options.state is not None:
            print(states_table(group, with_epochs=self._options.verbose))
        elif rows:
            print(offsets_table(rows, with_epochs=self._options.verbose))

    def _delete(self) -> int:
        outcome = self._groups.delete(self._chosen())
        failed = {group: error for group, error in outcome.items() if error is not None}
        deleted = [group for group in outcome if group not in failed]
        if self._options.json:
            print_json({"deleted": deleted, "failed": {group: str(error) for group, error in failed.items()}})
            return 1 if failed else 0
        names = ", ".join(f"'{group}'" for group in deleted)
        if not failed:
            print(f"Deletion of requested consumer groups ({names}) was successful.")
            return 0
        print("\nError: Deletion of some consumer groups failed:")
        for group, error in failed.items():
            reason = error.as_java if isinstance(error, RefusedError) else str(error)
            print(f"* Group '{group}' could not be deleted due to: {reason}")
        if deleted:
            print(f"\nThese consumer groups were deleted successfully: {names}")
        return 0

    def _delete_offsets(self) -> int:
        (group,) = self._options.group
        wanted, unknown = self._known_partitions()
        outcome = (
            self._groups.delete_offsets(group, wanted)
            if wanted
            else DeletedOffsets(error=ErrorCode.NONE, partitions={})
        )
        results = {**outcome.partitions, **dict.fromkeys(unknown, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)}
        failed = outcome.error is not ErrorCode.NONE
        if self._options.json:
            print_json(
                {
                    "group": group,
                    "partitions": [
                        {"topic": each.topic, "partition": each.partition, "error": code.name}
                        for each, code in sorted(results.items())
                    ],
                }
            )
            return 1 if failed or unknown else 0
        if not failed:
            print(f"Request succeeded for deleting offsets from group {group}.")
        elif outcome.error in WHOLE_REQUEST_ERRORS:
            print(f"\nError: {description(outcome.error)}")
        else:
            print("\nError: Encountered some partition-level error, see the follow-up details.")
        print(deleted_offsets_table(results))
        return 0

    def _known_partitions(self) -> tuple[list[TopicPartition], list[TopicPartition]]:
        """What `--topic` names; and topics that do not exist, as partition -1 of each."""
        known: list[TopicPartition] = []
        unknown: list[TopicPartition] = []
        for text in self._options.topic:
            try:
                known += wanted_partitions(self._admin, [text])
            except ResetError as error:
                self._parser.error(str(error))
            except RefusedError as error:
                if error.code is not ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                    raise
                unknown.append(TopicPartition(text, -1))
        return known, unknown

    def _reset(self) -> int:
        options = self._options
        if not options.dry_run and not options.execute:
            print_error(NO_EXECUTE_WARNING)
        plans: dict[str, dict[TopicPartition, int]] = {}
        status = 0
        for group in self._chosen():
            state = self._state(group)
            if state not in RESETTABLE:
                plans[group] = {}
                status = self._failed(
                    f"Assignments can only be reset if the group '{group}' is inactive,"
                    f" but the current state is {state}."
                )
                continue
            committed = {each: at.offset for each, at in self._groups.committed(group).items()}
            try:
                plans[group] = OffsetReset(self._admin, group, committed, print_error).plan(options)
            except ResetError as error:
                if error.is_of_usage:
                    self._parser.error(str(error))
                return self._failed(f"Executing consumer group command failed due to {error}")
            if options.execute:
                self._groups.commit(group, plans[group])
        if options.json:
            print_json(_as_rows(plans))
        else:
            print(reset_csv(plans, with_group=len(options.group) != 1) if options.export else reset_table(plans))
        return status

    def _state(self, group: str) -> str:
        """`Dead` where there is no such group: it can be given offsets all the same."""
        try:
            return self._groups.describe(group).state
        except RefusedError as error:
            if error.code is not ErrorCode.GROUP_ID_NOT_FOUND:
                raise
            return "Dead"


def _as_rows(plans: dict[str, dict[TopicPartition, int]]) -> list[dict[str, object]]:
    return [
        {"group": group, "topic": each.topic, "partition": each.partition, "new_offset": offset}
        for group, plan in plans.items()
        for each, offset in sorted(plan.items())
    ]
