"""Random programs of numbers, vectors, loops and decisions agree eagerly, replayed and in nopython mode (``three_ways``)."""

import os

import pytest
from three_ways import check


@pytest.mark.parametrize("seed", [0, 3, 9])  # 9: spills around calls of vector functions, on two paths
def test_a_few_programs(seed):
    check(seed, compiled=seed == 0)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 10))
def test_many_programs(first):
    for seed in range(first, first + 10):
        check(seed, compiled=seed % 10 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("tenth", range(10))
def test_programs_that_no_day_had_before(tenth):
    first = 100 * int(os.environ["TAPEJIT_TEST_DAY"]) + 10 * tenth
    for seed in range(first, first + 10):
        check(seed, compiled=False, policies=("now",))
