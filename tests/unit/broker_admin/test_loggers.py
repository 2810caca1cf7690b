"""Levels of broker loggers (KIP-412): set, shown, reset, and obeyed by what is logged."""

from __future__ import annotations

import re
from pathlib import Path

from admin_kit import BROKER_LOGGER, DELETE, SET, SilentLog, node

from mainstem.telemetry.loggers import AREAS, Loggers

ROOT = Path(__file__).resolve().parents[3]


def test_only_what_is_loud_enough_for_its_area_is_handed_on() -> None:
    log = SilentLog()
    loggers = Loggers(log, "WARN")
    loggers.choose("storage", "DEBUG")
    loggers.choose("connection", "FATAL")
    for event in ("storage.a", "connection.b", "request.c"):
        loggers.debug(event)
        loggers.info(event)
        loggers.warning(event)
        loggers.error(event)
    assert log.events == ["storage.a"] * 4 + ["request.c"] * 2


def test_an_area_without_a_level_follows_the_root() -> None:
    loggers = Loggers(SilentLog(), "INFO")
    loggers.choose("storage", "ERROR")
    loggers.choose("root", "DEBUG")
    assert (loggers.levels()["storage"], loggers.levels()["request"], loggers.levels()["root"]) == (
        "ERROR",
        "DEBUG",
        "DEBUG",
    )
    loggers.choose("storage", None)
    assert {*loggers.levels().values()} == {"DEBUG"}


async def test_levels_are_set_shown_and_reset() -> None:
    broker = await node()
    before = {config.name: config.value for config in (await broker.describe(BROKER_LOGGER, "1")).configs}
    assert before == dict.fromkeys(("root", *AREAS), "INFO")
    assert (
        await broker.alter(BROKER_LOGGER, "1", ("storage", SET, "TRACE"), ("cleaner", SET, "ERROR"))
    ).error_code == 0
    (config,) = (await broker.describe(BROKER_LOGGER, "1", "storage")).configs
    assert (config.value, config.config_source, config.read_only) == ("TRACE", 6, False)
    assert (await broker.alter(BROKER_LOGGER, "1", ("storage", DELETE, None))).error_code == 0
    (config,) = (await broker.describe(BROKER_LOGGER, "1", "storage")).configs
    assert config.value == "INFO"


async def test_one_bad_level_stops_the_good_ones_and_validating_changes_nothing() -> None:
    broker = await node()
    assert (await broker.alter(BROKER_LOGGER, "1", ("storage", SET, "DEBUG"), ("nobody", SET, "DEBUG"))).error_code != 0
    assert (await broker.alter(BROKER_LOGGER, "1", ("storage", SET, "DEBUG"), validate=True)).error_code == 0
    assert {config.value for config in (await broker.describe(BROKER_LOGGER, "1")).configs} == {"INFO"}


def test_every_event_of_a_broker_belongs_to_an_area() -> None:
    rooms = ("broker", "core", "runtime", "cluster", "app")
    sources = [path for room in rooms for path in (ROOT / "platform" / "mainstem" / room).rglob("*.py")]
    sources += [path for name in ("storage_*", "coordinator_*") for path in (ROOT / "plugins").rglob(f"{name}/*.py")]
    # What the core notes becomes an event of the coordinator that runs it.
    call = re.compile(r'(?:log\.(?:debug|info|warning|error)|\bnote)\(\s*"([a-z_]+)\.')
    found = {area for path in sources if path.name != "run.py" for area in call.findall(path.read_text())}
    assert found >= {"storage", "connection", "request", "group", "transaction"}
    assert found - set(AREAS) == set()
