"""Run a command with a real Apache Kafka beside it: `python .../with_kafka.py python -m pytest tests/...`.

The command finds the broker in MAINSTEM_TEST_BOOTSTRAP, which the tests of tests/integration read.
"""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from peers.kafka_node import KafkaNode


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    # A small __consumer_offsets keeps the first group of each run from waiting for 50 new log folders.
    with KafkaNode(overrides={"offsets.topic.num.partitions": "4"}) as node:
        print(f"Apache Kafka answers on {node.bootstrap} after {node.seconds_to_answer:.1f} s", file=sys.stderr)
        environment = {**os.environ, "MAINSTEM_TEST_BOOTSTRAP": node.bootstrap}
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
