"""A stranger's distribution, installed with pip into a fresh environment and used there."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

STRANGER = Path(__file__).resolve().parents[3] / "examples" / "stranger_plugin"

SCRIPT = """
from mainstem import Pipeline, run

walk = (
    Pipeline("walk")
    .source(connector="random-walk", walkers=2, steps=500, seed=7)
    .key_by("walker")
    .sink("walk", key="string", value="msgpack")
)
copy = Pipeline("copy").source("walk", value="msgpack").sink(connector="files", path="walk.jsonl")
run(walk, copy, once=True)
"""


def test_a_strangers_plugins_are_installed_listed_and_run(environment, tmp_path):
    environment.install(STRANGER)
    listed = json.loads(environment.run("-m", "mainstem.cli.main", "plugins", "--json", cwd=tmp_path).stdout)
    assert listed["broken"] == []
    theirs = [
        (plugin["kind"], plugin["name"], plugin["version"])
        for plugin in listed["plugins"]
        if plugin["distribution"] == "mainstem-stranger"
    ]
    assert theirs == [("serializer", "msgpack", "1.2.3"), ("connector", "random-walk", "1.2.3")]
    (tmp_path / "walk.py").write_text(SCRIPT)
    environment.run("walk.py", cwd=tmp_path)
    values = [json.loads(line) for line in (tmp_path / "walk.jsonl").read_text().splitlines()]
    for walker in ("walker-0", "walker-1"):
        steps = [value for value in values if value["walker"] == walker]
        assert [value["step"] for value in steps] == list(range(500))
        ways = [after["at"] - before["at"] for before, after in pairwise(steps)]
        assert set(ways) == {-1, 1}


def test_its_own_tests_pass(environment, tmp_path):
    environment.install(STRANGER)
    environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", STRANGER / "tests", cwd=tmp_path)


def test_each_module_is_short_enough_to_be_an_example():
    for module in (STRANGER / "src" / "stranger").glob("*.py"):
        assert len(module.read_text().splitlines()) < 60
