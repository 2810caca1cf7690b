"""What an embedded broker finds when it starts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from orders import PARTITIONS, load
from subjects import MainstemNode, Topics


def data_folder(
    work: Path, count: int, totals_configs: dict[str, str], *, also: Callable[[str], None] | None = None
) -> Path:
    """Its topics, in `orders` the first `count`, and what `also` does to the broker whose address it is given."""
    data = work / "data"
    with MainstemNode(parent_folder=work) as broker:
        Topics(broker.bootstrap).create("orders", PARTITIONS, {})
        Topics(broker.bootstrap).create("totals", PARTITIONS, totals_configs)
        load(broker.bootstrap, "orders", count)
        if also is not None:
            also(broker.bootstrap)
        broker.end()
        shutil.move(broker.log_dir, data)
    return data
