"""The benchmarks are scripts in a folder of their own, not a package: their modules are imported from there."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))
