"""The admin handlers on real metadata, without sockets and files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
