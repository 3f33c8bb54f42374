"""No two pieces of compiled code share a symbol, whichever processes compiled them."""

import io
import itertools
import os
import pickle
import subprocess
import sys

import pytest
from numba.core.bytecode import FunctionIdentity

from tapejit.edge import store
from tapejit.kernels.library import KERNELS, as_floats

FIVE = [  # each a process: two of them wrote one symbol for different code, and the fifth loaded both
    "a=tj.tensor([1.,2.]); b=a.amax(); c=(b*2).item(); t=tj.tensor([1.,2.],dtype=tj.float32).amax(); d=a.exp()",
    "tj.ones(3).prod(); tj.eye(2)@tj.ones(2)",
    "tj.tensor([1.,1.,1.],dtype=tj.float32).sum().item()",
    "tj.tensor([3.,-4.]).sum().item()",
    "a=tj.tensor([1.,1.,1.],dtype=tj.float32).sum(); b=tj.tensor([3.,-4.]).sum(); print(a.item(), b.item())",
]

def symbols_in(path):
    """The names of the functions that a file of the cache defines."""
    file = io.BytesIO(path.read_bytes()[store._HEADER :])
    pickle.load(file)
    (_, defined, *_), *_ = pickle.load(file)
    return set(defined)


def python(code, cache, *arguments):
    environment = dict(os.environ, NUMBA_CACHE_DIR=str(cache), PYTHONPATH=str(store.PACKAGE.parent))
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_five_processes_share_a_cache_and_get_their_own_sums(tmp_path):
    files, written = set(), []
    for line in FIVE[:-1]:
        python(f"import tapejit as tj; {line}", tmp_path)
        new = set(tmp_path.rglob("*.nbc")) - files
        files |= new
        written.append(set().union(*map(symbols_in, new)))
    assert python(f"import tapejit as tj; {FIVE[-1]}", tmp_path).split() == ["3.0", "-1.0"]
    assert all(written)
    assert not any(a & b for a, b in itertools.combinations(written, 2))


def test_kernels_of_two_types_have_two_names_and_two_places():
    kernels = {kernel for of_op in KERNELS.values() for kernel in of_op if kernel}
    functions = [as_floats(kernel, dtype) for kernel in kernels for dtype in (0, 1)]
    assert len({(f.__module__, f.__qualname__) for f in functions}) == len(functions)
    assert len({f.__code__.co_filename for f in functions}) == len(functions)
    assert all(f.__qualname__.endswith(("_f64", "_f32")) for f in functions)


NUMBER = "import os, tapejit; from numba.core.bytecode import FunctionIdentity as F; f = F.from_function; "


def test_processes_number_their_functions_differently(tmp_path):
    here = {FunctionIdentity.from_function(lambda: None).unique_id for _ in range(100)}
    there = {int(python(NUMBER + "print(f(lambda: 0).unique_id)", tmp_path)) for _ in range(2)}
    assert len(there) == 2
    assert not here & there


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_numbers_anew(tmp_path):
    fork = (
        "child = os.fork() == 0; status = 0 if child else os.wait()[1]; print(f(lambda: 0).unique_id, status, flush=True); "
        "os._exit(0) if child else None"
    )
    one, fine, other, ended = python(NUMBER + fork, tmp_path).split()
    assert (fine, ended) == ("0", "0")
    assert one != other
