"""`--workers N`: the same script in N processes that share a consumer group.

This process starts them, passes signals on, and ends with the first status that is not 0, after the others were stopped. With the
embedded broker it is the broker, and the workers reach it over its socket.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack

from mainstem.api.transport import TransportSpec
from mainstem.app.child_processes import ask_to_end, exit_status, on_signals, start_again
from mainstem.app.embedded import AsyncBroker
from mainstem.app.plugins import PluginManager
from mainstem.app.run_options import RunOptions
from mainstem.app.telling import tell
from mainstem.model.errors import ConfigError

WORKER = "MAINSTEM_WORKER"
WORKER_BROKER = "MAINSTEM_WORKER_BROKER"
KAFKA_PORT = 9092


def is_worker(environment: Mapping[str, str] = os.environ) -> bool:
    """This process was started by one that has `--workers`."""
    return WORKER in environment


def worker_broker(environment: Mapping[str, str] = os.environ) -> str | None:
    return environment.get(WORKER_BROKER)


async def start_broker(options: RunOptions, plugins: PluginManager) -> AsyncBroker:
    """On Kafka's port where it is free, so that tools find it without being told; on any other where it is not."""
    try:
        return await AsyncBroker(data=options.data, port=KAFKA_PORT, plugins=plugins).start()
    except ConfigError as error:
        if error.key != "listeners":
            raise
    return await AsyncBroker(data=options.data, port=0, plugins=plugins).start()


def tell_address(broker: AsyncBroker, options: RunOptions) -> None:
    address = broker.bootstrap_servers
    sentence = f"Kafka clients find the broker at {address}; its data is in {options.data}"
    tell(sentence, "run.broker", address=address, data=str(options.data))


async def run_workers(options: RunOptions, plugins: PluginManager) -> int:
    """The status to end with. Raises: ConfigError, PluginError."""
    scheme = options.broker_parts[0]
    if plugins.find(TransportSpec, scheme).is_in_process:
        raise ConfigError(
            "workers", options.workers, f"{scheme}:// is seen by one process only: use kafka:// or embedded://"
        )
    environment = dict(os.environ)
    async with AsyncExitStack() as stack:
        if options.is_embedded:
            broker = await start_broker(options, plugins)
            stack.push_async_callback(broker.close)
            tell_address(broker, options)
            environment[WORKER_BROKER] = f"kafka://{broker.bootstrap_servers}"
        tell(f"{options.workers} workers share the work", "run.workers", workers=options.workers)
        workers = Workers()
        on_signals(workers.stop, stack)  # before the first one starts: who is told to end must not leave any behind
        await workers.start(options.workers, environment)
        return await workers.until_all_ended()


class Workers:
    """The processes, from the first start to the last end."""

    def __init__(self) -> None:
        self._processes: list[asyncio.subprocess.Process] = []
        self._is_stopping = False

    def stop(self) -> None:
        self._is_stopping = True
        ask_to_end(self._processes)

    async def start(self, count: int, environment: Mapping[str, str]) -> None:
        for number in range(count):
            process = await start_again({**environment, WORKER: str(number)})
            self._processes.append(process)
            if self._is_stopping:
                ask_to_end([process])  # the signal came while it was being started; the others have been asked
                return

    async def until_all_ended(self) -> int:
        """The first status that is not 0: whoever has it takes the others along."""
        waiting = {asyncio.ensure_future(self._end_of(process)) for process in self._processes}
        status = 0
        while waiting:
            ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            failed = [one.result() for one in ended if one.result() != 0]
            if failed and status == 0:
                status = failed[0]
                ask_to_end(self._processes)
        return status

    async def _end_of(self, process: asyncio.subprocess.Process) -> int:
        return exit_status(await process.wait())
