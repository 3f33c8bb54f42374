"""Every library on every workload under pytest-benchmark.

    python -m pytest bench                            all cases
    python -m pytest bench -k "Lorenz and JAX"        one of them
    python -m pytest bench --benchmark-group-by=group one table per workload

A case whose library is missing is skipped and says why; one whose result differs from the reference fails and is not timed.
The tables of the documentation come from ``python -m bench report``, where the libraries take turns.
"""

import math

import pytest

from bench.harness import cases
from bench.measure import BATCH, batch, prepared


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("work", "library"), cases())
def test_workload(benchmark, work, library):
    calls, outcomes = prepared(work, (library.name,))
    if library.name in outcomes:
        kind, reason = next(iter(outcomes[library.name].items()))
        (pytest.skip if kind == "skipped" else pytest.fail)(f"{kind}: {reason}")
    call = calls[library.name]
    call()
    once = batch(call, 1)[0]
    benchmark.group = work.name
    benchmark.pedantic(call, rounds=20 if once < 0.05 else 5, iterations=max(1, math.ceil(BATCH / once)))
