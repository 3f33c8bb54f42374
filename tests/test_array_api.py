"""The Array API standard: the namespace of a tensor, its dtypes, and a program written for the standard."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import tapejit as tj
from tapejit import array_api as xp

sys.path.append(str(Path(__file__).parents[1]))  # bench/ runs the standard's tests; it is not part of the package

from bench import arrayapi


def softmax(x, axis):
    """As a library would write it for any array."""
    own = x.__array_namespace__()
    e = own.exp(x - own.max(x, axis=axis, keepdims=True))
    return e / own.sum(e, axis=axis, keepdims=True)


def test_a_program_for_the_standard_is_differentiated():
    x = tj.tensor([[0.1, 0.7, -0.3]], requires_grad=True)
    assert x.__array_namespace__(api_version="2023.12") is xp
    found = softmax(x, -1)
    np.testing.assert_allclose(found.detach().numpy(), tj.softmax(x, -1).detach().numpy())
    found[0, 0].backward()
    p = found.detach().numpy()[0]
    np.testing.assert_allclose(x.grad.numpy()[0], p[0] * (np.eye(3)[0] - p), atol=1e-15)
    g = tj.grad(lambda x: softmax(x, 0)[0])(np.array([0.1, 0.7, -0.3]))
    np.testing.assert_allclose(g, x.grad.numpy()[0])
    with pytest.raises(ValueError, match=r"2023\.12"):
        x.__array_namespace__(api_version="1999.1")


def test_every_name_of_the_standard_is_there():
    missing = [name for name in (*xp._STANDARD, "asarray", "from_dlpack", "unique_all", "isdtype") if not hasattr(xp, name)]
    assert missing == []
    assert xp.linalg.det(xp.eye(3)).item() == 1.0
    np.testing.assert_allclose(xp.fft.fft(xp.ones(4)).real.numpy(), [4.0, 0.0, 0.0, 0.0], atol=1e-15)


def test_dtypes():
    assert xp.isdtype(xp.float32, ("integral", "real floating"))
    assert not xp.isdtype(xp.uint8, "signed integer")
    assert xp.isdtype(xp.complex128, "complex floating")
    assert xp.result_type(xp.int8, xp.asarray(1.0, dtype=xp.float32)) is xp.float32
    assert xp.result_type(xp.asarray([1]), 2.0) is xp.float64
    assert xp.can_cast(xp.int8, xp.int16)
    assert not xp.can_cast(xp.float64, xp.float32)
    assert xp.finfo(xp.complex64).dtype is xp.float32
    assert xp.__array_namespace_info__().dtypes(kind="unsigned integer") == {"uint8": xp.uint8}
    assert xp.zeros((2,), dtype=xp.complex128, device="cpu").dtype is xp.complex128
    with pytest.raises(ValueError, match="kinds"):
        xp.isdtype(xp.int8, "rational")
    with pytest.raises(TypeError, match="not supported"):
        xp.result_type(xp.int8, "U3")


def test_order_and_sets():
    x = xp.asarray([3.0, 1.0, 2.0, 1.0])
    assert xp.sort(x, descending=True).tolist() == [3.0, 2.0, 1.0, 1.0]
    assert xp.argsort(x).tolist() == [1, 3, 2, 0]
    assert xp.cumulative_sum(x, include_initial=True).tolist() == [0.0, 3.0, 4.0, 6.0, 7.0]
    found = xp.unique_all(x)
    assert found.values.tolist() == [1.0, 2.0, 3.0]
    assert found.counts.tolist() == [2, 1, 1]
    assert found.values[found.inverse_indices].tolist() == x.tolist()
    with pytest.raises(ValueError, match="axis"):
        xp.cumulative_sum(xp.ones((2, 2)))


def test_memory_is_shared_by_dlpack():
    x = xp.asarray([1.0, 2.0])
    array = np.from_dlpack(x)
    assert x.__dlpack_device__() == (1, 0)
    assert xp.from_dlpack(array).tolist() == array.tolist() == [1.0, 2.0]
    assert x.to_device("cpu") is x
    with pytest.raises(RuntimeError, match="grad"):
        np.from_dlpack(tj.tensor([1.0], requires_grad=True))
    with pytest.raises(ValueError, match="copy"):
        xp.asarray([1.0], copy=False)
    assert complex(tj.tensor(2.0)) == 2 + 0j
    assert (tj.tensor([1, 2]) << 2).tolist() == [4, 8]
    assert (16 >> tj.tensor([1, 2])).tolist() == [8, 4]


def test_complex_tensors_are_taken():
    z = xp.asarray([[1 + 2j, 3j]])
    assert xp.asarray(z) is z
    assert xp.asarray(z, copy=True) is not z
    assert xp.moveaxis(z, 0, 1).shape == (2, 1)
    assert xp.tile(z, (2, 1)).shape == (2, 2)
    assert xp.sum(z, axis=0).tolist() == [1 + 2j, 3j]
    assert xp.real(z).tolist() == [[1.0, 0.0]]
    assert xp.conj(z).tolist() == [[1 - 2j, -3j]]
    assert xp.zeros_like(z).dtype is xp.complex128
    assert xp.full((2,), 1j).tolist() == [1j, 1j]
    assert xp.astype(z, xp.complex64).dtype is xp.complex64
    assert [a.shape for a in xp.broadcast_arrays(z, xp.asarray([1j]))] == [(1, 2), (1, 2)]
    assert xp.meshgrid(z[0])[0].tolist() == [1 + 2j, 3j]
    assert [a.tolist() for a in xp.nonzero(xp.asarray([0j, 1j]))] == [[1]]
    assert xp.iinfo(xp.int8).dtype is xp.int8
    with pytest.raises(ValueError, match="dimension"):
        xp.nonzero(xp.asarray(1.0))


def test_bounds_of_the_standard():
    x = xp.asarray([-2, 0, 3])
    assert xp.clip(x, -1, 2).tolist() == [-1, 0, 2]
    assert xp.clip(x, max=xp.asarray([0, 0, 0])).tolist() == [-2, 0, 0]
    assert xp.clip(x).tolist() == x.tolist()
    assert xp.linalg.trace(xp.ones((2, 3, 3)), offset=1).tolist() == [2.0, 2.0]
    assert float(xp.vecdot(xp.asarray([1.0, 2.0]), xp.asarray([3.0, 4.0]), axis=-1)) == 11.0
    assert xp.fft.hfft(xp.ones((3,)), n=4).shape == (4,)


def test_each_expected_failure_has_its_reason():
    """The list that the standard's tests are run with (``python -m bench.arrayapi``) is what its reasons make of it."""
    found = arrayapi.expected()
    assert arrayapi.written(found) == arrayapi.LIST.read_text()
    for test, reason in found.items():
        assert reason == arrayapi.reason_of(test)
        assert re.fullmatch(r"array_api_tests/test_\w+\.py::\w+(\[.*\])?", test)
    with pytest.raises(SystemExit, match="no reason"):
        arrayapi.written(["array_api_tests/test_linalg.py::test_inv"])
