"""A minute of mixed work in threads, with errors and interrupts: every number right, memory flat (``soak.py``)."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="interrupts by setitimer")
def test_a_minute_of_mixed_work():
    soak = subprocess.run([sys.executable, Path(__file__).with_name("soak.py"), "60"], capture_output=True, text=True)
    assert soak.returncode == 0, soak.stdout + soak.stderr
