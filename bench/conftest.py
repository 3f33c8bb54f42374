"""Benchmarks under pytest: one thread for every library, set before any of them is loaded."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # bench is a package beside tapejit

from bench.collect import THREADS, environment

os.environ.update({k: v for k, v in environment(1).items() if k in (*THREADS, "XLA_FLAGS")})
