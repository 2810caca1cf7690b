"""The log directories of a broker that starts: locked, opened, and claimed for this node of this cluster.

One that cannot be used stays offline while another works, as in Kafka; the first also holds the cluster's metadata, so that a
broker without it does not start.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from mainstem.api.context import PluginContext
from mainstem.api.files import FileSystem
from mainstem.api.storage import LogStore
from mainstem.model.errors import DirectoryInUseError, StorageError
from mainstem.runtime.offline_store import OfflineStore

PROPERTIES_VERSION = "1"


def lock_directories(files: FileSystem, directories: Sequence[str], stack: AsyncExitStack) -> dict[str, StorageError]:
    """Until `stack` closes; returns those that cannot be used, and why.

    Raises: DirectoryInUseError; StorageError if the first of them cannot be used.
    """
    failures: dict[str, StorageError] = {}
    for directory in directories:
        try:
            stack.callback(files.lock_directory(Path(directory)))
        except DirectoryInUseError:
            raise
        except StorageError as error:
            failures[directory] = error
    if directories[0] in failures:
        reason = failures[directories[0]].reason
        raise StorageError(
            directories[0], f"{reason} (the first of log.dirs holds the metadata: nothing starts without it)"
        )
    return failures


def open_stores(
    directories: Sequence[str],
    open_store: Callable[[Path], LogStore],
    failures: dict[str, StorageError],
    context: PluginContext,
) -> list[LogStore]:
    """A store for each; what fails now is added to `failures`, by directory."""
    stores: list[LogStore] = []
    for directory in directories:
        failure = failures.get(directory)
        if failure is None:
            try:
                stores.append(open_store(Path(directory)))
                continue
            except StorageError as error:
                if directory == directories[0]:
                    raise
                failure = failures[directory] = error
        context.log.error("storage.log_directory_unusable", place=directory, reason=failure.reason)
        stores.append(OfflineStore(directory, failure))
    return stores


def claim(stores: Sequence[LogStore], cluster_id: str, node_id: int) -> None:
    """Write `meta.properties` where there is none, and refuse a directory of another cluster or node.

    Raises: StorageError; the stores are closed as they were found.
    """
    try:
        _claim_all(stores, cluster_id, node_id)
    except StorageError:
        for store in stores:
            store.close(clean=store.was_clean)
        raise


def _claim_all(stores: Sequence[LogStore], cluster_id: str, node_id: int) -> None:
    directory_ids: dict[str, str] = {}
    for store in stores:
        if isinstance(store, OfflineStore):
            continue
        properties = dict(store.read_properties())
        if not properties:
            properties = {
                "version": PROPERTIES_VERSION,
                "cluster.id": cluster_id,
                "node.id": str(node_id),
                "directory.id": new_uuid(),
            }
            store.write_properties(properties)
        _check(store.place, properties, cluster_id, node_id)
        directory_id = properties.get("directory.id", "")
        if directory_id and directory_id in directory_ids:
            raise StorageError(
                store.place, f"directory.id={directory_id} is that of {directory_ids[directory_id]}, too: one is a copy"
            )
        directory_ids[directory_id] = store.place


def _check(place: str, properties: dict[str, str], cluster_id: str, node_id: int) -> None:
    found_node = properties.get("node.id") or properties.get("broker.id")
    if properties.get("cluster.id", cluster_id) != cluster_id:
        raise StorageError(
            place,
            f"meta.properties says cluster.id={properties['cluster.id']}, this broker's cluster is {cluster_id}; "
            "start it with the log.dirs that belong together",
        )
    if found_node is not None and found_node != str(node_id):
        raise StorageError(
            place, f"meta.properties says node.id={found_node}, this broker was started with node.id={node_id}"
        )


def new_uuid() -> str:
    """As Kafka's `Uuid.randomUuid`: 22 characters, never with a dash in front."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text
