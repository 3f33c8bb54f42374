"""What enters the tables at run time is known everywhere: nothing else is kept by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("entered_later.py")


CASES = ("elementwise", "primitive", "structured", "seven operands", "matrices")
WAYS = [(way, case) for way in ("eager", "replay", "reclaimed") for case in CASES]
WAYS += [("nopython", "elementwise"), ("nopython", "primitive"), ("nopython_matrices", "matrices")]
WAYS += [("changed", "seven operands")]


@pytest.mark.parametrize(("way", "case"), WAYS)
def test_an_entry_is_used_in_every_way_in(way, case):
    path = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-W", "error", str(SCRIPT), way, case]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
