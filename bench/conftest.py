"""Benchmarks: pytest-benchmark over the same cases that the scripts print as tables.

    python -m pytest bench --benchmark-group-by=group
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules of this folder import each other, as they do when run


@pytest.fixture(autouse=True, scope="session")
def single_thread():
    """Every library on one thread, as far as it can be told to."""
    from bench_eager import one_thread

    with one_thread():
        yield
