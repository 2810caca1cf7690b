"""Counts records by key with Quix Streams and exactly-once; the count of each key goes to the output topic.

Usage: quix_counts.py <bootstrap> <group> <input> <output> <state folder> <exit after so many, 0 for never>

Ends when nothing has come for some seconds. With an exit asked for, the process ends without any goodbye in the middle of a
transaction.
"""

import os
import sys

from quixstreams import Application

CRASHED = 42
IDLE_S = 6


def main() -> None:
    bootstrap, group, source, output, folder, exit_after = sys.argv[1:]
    application = Application(
        broker_address=bootstrap,
        consumer_group=group,
        processing_guarantee="exactly-once",
        auto_offset_reset="earliest",
        auto_create_topics=True,
        state_dir=folder,
        commit_every=10,
        # The group gives up the crashed member soon.
        consumer_extra_config={"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000},
        loglevel="WARNING",
    )
    seen = 0

    def count(value: int, state) -> int:
        nonlocal seen
        seen += 1
        if seen == int(exit_after):
            os._exit(CRASHED)
        total = state.get("count", 0) + 1
        state.set("count", total)
        return total

    frame = application.dataframe(application.topic(source, key_deserializer="str", value_deserializer="json"))
    counts = application.topic(output, key_serializer="str", value_serializer="json")
    frame.apply(count, stateful=True).to_topic(counts)
    application.run(timeout=IDLE_S)


if __name__ == "__main__":
    main()
