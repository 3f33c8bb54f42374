"""Random programs of numbers, vectors, loops and decisions agree eagerly, replayed and in nopython mode."""

import os
import random

import pytest
from program_families import MEMBERS, Ways
from three_ways import check


def check_family(seed, count):
    """So many members of a family in all three ways in."""
    ways = Ways(seed)
    for member in random.Random(seed).sample(range(MEMBERS), count):
        ways.check(member)


@pytest.mark.parametrize("seed", [3, 9])  # 9: spills around calls of vector functions, on two paths
def test_programs_as_machine_code(seed):
    check(seed, compiled=False, policies=("now",))


def test_a_family():
    check_family(0, 8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1060))
def test_large_programs(seed):
    check(seed, compiled=seed % 2 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 61))
def test_families(seed):
    check_family(seed, 30)


@pytest.mark.slow
@pytest.mark.parametrize("sixtieth", range(60))
def test_programs_that_no_day_had_before(sixtieth):
    day = int(os.environ["TAPEJIT_TEST_DAY"])
    check_family(1000 + 60 * day + sixtieth, 15)
