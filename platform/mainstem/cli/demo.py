"""`mainstem demo`: the flights example that comes with the package, from a checkout or from an installed wheel."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from mainstem.model.errors import ConfigError

SCRIPT = Path("examples") / "flights" / "pipeline.py"
PACKAGE = Path(__file__).resolve().parents[1]
# A wheel puts examples and schemas beside the packages; a checkout has them beside `platform`.
PLACES = (PACKAGE.parent / "mainstem_shipped", PACKAGE.parents[1])


def main(arguments: Sequence[str]) -> int:
    script = next((place / SCRIPT for place in PLACES if (place / SCRIPT).is_file()), None)
    if script is None:
        raise ConfigError(
            "demo", str(SCRIPT), "it does not lie where an installation or a checkout has it; install mainstem again"
        )
    sys.argv = ["mainstem demo", *arguments]
    runpy.run_path(str(script), run_name="__main__")
    return 0
