"""Every flag that Apache Kafka 4.1's tools explain is known to our commands."""

import re

import pytest
from peers.tools import run_tool

from mainstem.cli.complete import parser_of
from mainstem.cli.script_texts import TOOLS

pytestmark = pytest.mark.conformance

_FLAG = re.compile(r"(?:^|[\s\[(,|])(--[a-zA-Z][a-zA-Z.-]*)")
ACTIONS = {
    "cluster": ("cluster-id", "list-endpoints"),
    "features": ("describe", "upgrade", "downgrade", "disable"),
    "storage": ("format", "info", "random-uuid"),
    "transactions": ("list", "describe", "describe-producers", "abort", "find-hanging", "forceTerminateTransaction"),
}
NOT_OURS = {
    "dump-log": {"--cluster-metadata-decoder", "--remote-log-metadata-decoder", "--share-group-state-decoder"},
}
"""What SKIPPED.md names."""


def explained(text: str) -> set[str]:
    """Flags that stand where a tool names its flags: in a usage, or first on a line of its table."""
    found = set()
    for line in text.splitlines():
        is_usage = line.startswith(("usage:", " " * 15)) and "[" in line
        if line.startswith(("--", "* --", "  --", "  -")) or is_usage:
            found |= set(_FLAG.findall(line if is_usage else line[:40]))
    return found


@pytest.mark.parametrize("tool", TOOLS)
def test_every_flag_is_known(tool: str) -> None:
    parser = parser_of(tool)
    assert parser is not None
    known = {flag for action in parser.flags() for flag in action.option_strings}
    helps = [[action, "--help"] for action in ACTIONS.get(tool, ())] or [["--help"]]
    texts = []
    for words in helps:
        # Some of them insist on an address before they explain themselves.
        where = ["--bootstrap-server", "localhost:1"] if tool in ("features", "transactions") else []
        done = run_tool(f"kafka-{tool}", [*where, *words])
        texts.append(done.output + done.errors)
    flags = set().union(*(explained(text) for text in texts))
    assert len(flags) > 1, texts
    assert flags - known - NOT_OURS.get(tool, set()) == set()
