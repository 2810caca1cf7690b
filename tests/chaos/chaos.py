"""`make chaos`: many runs of `exactly_once`, one after the other. What is done is kept, so that it can be stopped and go on.

python tests/chaos/chaos.py [--runs 200] [--first 0] [--results .cache/chaos.jsonl]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from exactly_once import NotExactlyOnce, run

MINUTES_MAX = 30


def main() -> int:
    parser = argparse.ArgumentParser(description="Exactly-once under kill -9 of clients and broker.")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--results", type=Path, default=Path(".cache/chaos.jsonl"))
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    done = {}
    if options.results.exists():
        done = {row["seed"]: row for row in map(json.loads, options.results.read_text().splitlines())}
    deadline = time.monotonic() + MINUTES_MAX * 60
    wanted = range(options.first, options.first + options.runs)
    failures = [row["seed"] for seed, row in done.items() if seed in wanted and row.get("error")]
    for seed in wanted:
        if seed in done:
            continue
        if time.monotonic() > deadline:
            print(f"{MINUTES_MAX} minutes are over at seed {seed}; run it again to go on", flush=True)
            break
        row, is_good = one(seed)
        if not is_good:
            failures.append(seed)
        with options.results.open("a") as results:
            results.write(json.dumps(row) + "\n")
        print(row if is_good else f"seed {seed} FAILED: {row['error']}", flush=True)
    print(f"{len(failures)} failed: {failures}" if failures else "every run copied every record exactly once")
    return 1 if failures else 0


def one(seed: int) -> tuple[dict[str, object], bool]:
    directory = Path(tempfile.mkdtemp(prefix=f"mainstem-chaos-{seed}-"))
    try:
        report = run(seed, directory)
    except NotExactlyOnce as error:
        # The directory stays, to look at.
        return {"seed": seed, "error": str(error), "data": str(directory)}, False
    shutil.rmtree(directory)
    return asdict(report), True


if __name__ == "__main__":
    sys.exit(main())
