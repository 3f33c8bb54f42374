"""Benchmarks: pytest-benchmark over the same cases that the scripts print as tables.

    python -m pytest bench --benchmark-only --benchmark-group-by=group
"""

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Every library on one thread, as far as it can be told to."""
    from bench_eager import one_thread

    with one_thread():
        yield
