"""Compaction, from planning to the swap, on logs in memory."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
