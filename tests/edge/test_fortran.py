"""BLAS and LAPACK are found without the package around them, and that package is whole when it is imported afterwards."""

import os
import subprocess
import sys
import textwrap

import pytest
from numba.extending import get_cython_function_address

from tapejit.edge import fortran, store

SCRIPT = """
    import sys

    import numpy as np
    import tapejit as tj

    x = tj.tensor(np.array([[4.0, 1.0], [2.0, 3.0]]), requires_grad=True)
    tj.linalg.solve(x, x @ x).sum().backward()
    assert np.allclose(x.grad, 1.0), x.grad
    assert not [name for name in sys.modules if name.startswith("scipy.linalg")]

    from tapejit.edge import fortran

    found = [fortran.address("cython_blas", "dgemm"), fortran.address("cython_lapack", "dgetrf")]
    import scipy.linalg
    from numba.extending import get_cython_function_address as known

    assert found == [known("scipy.linalg.cython_blas", "dgemm"), known("scipy.linalg.cython_lapack", "dgetrf")]
    assert scipy.linalg.cython_blas.__name__ == "scipy.linalg.cython_blas"
    assert np.array_equal(scipy.linalg.solve(2 * np.eye(2), np.ones(2)), [0.5, 0.5])
    print("whole")
"""


def test_a_product_imports_no_package_and_leaves_it_whole():
    environment = dict(os.environ, PYTHONPATH=str(store.PACKAGE.parent))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "whole\n", done.stderr


def test_it_is_what_the_package_gives():
    for module, routine in (("cython_blas", "sgemv"), ("cython_lapack", "zgeev")):
        assert fortran.address(module, routine) == get_cython_function_address(f"scipy.linalg.{module}", routine)
        assert fortran._alone(f"scipy.linalg.{module}", module).__pyx_capi__.keys() >= {routine}


def test_what_is_missing_is_an_import_error():
    with pytest.raises(ImportError, match="has no dnothing"):
        fortran.address("cython_blas", "dnothing")
