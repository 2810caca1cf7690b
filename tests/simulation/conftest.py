"""What all simulations stand on is in plain modules beside this file: time, logs, rules, the search for planted bugs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
