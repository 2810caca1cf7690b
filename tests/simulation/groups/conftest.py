"""What the simulations of classic and of consumer groups share is in `group_log.py` beside this file."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
