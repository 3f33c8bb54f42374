"""Random programs of arrays: what is replayed equals what runs eagerly, values, gradients and products with the Hessian."""

import numpy as np
import pytest
from random_array_programs import Program

import tapejit as tj
from tapejit.compile import schedule, storage


def check(seed):
    program = Program(seed)
    fixed = tj.as_tensor(program.arguments()[1])
    both = [tj.value_and_grad(program.function, (0, 1), compile=c) for c in ("now", "never")]
    products = [tj.hvp(lambda x: program.function(x, fixed), compile=c) for c in ("now", "never")]
    for _ in range(3):
        x, y = program.arguments()
        v = program.arguments()[0]
        for (replayed, eager), arguments in ((both, (x, y)), (products, (x, v))):
            mine, true = _leaves(replayed(*arguments)), _leaves(eager(*arguments))
            for a, b in zip(mine, true, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9, err_msg=program.source)
                assert np.shape(a) == np.shape(b)


def _leaves(tree):
    return [x for part in tree for x in _leaves(part)] if isinstance(tree, tuple) else [tree]


@pytest.fixture(params=["short", "long"])
def planned(request, monkeypatch, planned_anew):
    """Plans as for short and for long programs, the latter with limits that small programs reach."""
    if request.param == "long":
        monkeypatch.setattr(schedule, "LONG_PROGRAM", 0)
        monkeypatch.setattr(schedule, "MOST_UNITS", 3)
        monkeypatch.setattr(storage, "WINDOW", 8)
        monkeypatch.setattr(schedule, "WINDOW", 8)
        monkeypatch.setattr(storage, "LARGEST", 5)


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("seed", range(20))
def test_random_programs(seed):
    check(seed)


@pytest.mark.slow
@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize("first", range(1000, 1500, 20))
def test_many_random_programs(first):
    for seed in range(first, first + 20):
        check(seed)
