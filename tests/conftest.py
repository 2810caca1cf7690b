"""What all tests share: properties are tried on the same examples in every run, and a slow machine fails none of them."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

settings.register_profile("mainstem", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mainstem")

# Plain modules beside this file serve tests of several kinds, as do conformance's `peers`.
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent / "conformance"))
