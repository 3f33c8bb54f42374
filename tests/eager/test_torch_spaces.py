"""The small spaces of PyTorch's names: testing, masked, signal.windows; save and load; compile; linalg's further forms."""

import collections
import io
import pickle

import numpy as np
import pytest
import scipy.signal
from oracle import check_grad

import tapejit as tj
import tapejit.backends.cudnn as cudnn
import tapejit.masked
import tapejit.signal
import tapejit.testing
from tapejit.nn.utils.rnn import pad_sequence, unpad_sequence

RNG = np.random.default_rng(5)
A = RNG.normal(size=(3, 4))
MASK = A > -0.3
SQUARE = RNG.normal(size=(3, 3)) + 3 * np.eye(3)


def test_save_and_load(tmp_path):
    state = {
        "w": tj.tensor(A, requires_grad=True), "k": tj.arange(3), "lr": 0.1, "list": [tj.ones(2, dtype=tj.float32), None],
        "ordered": collections.OrderedDict(a=np.ones(2)), "dtype": tj.float32, "shape": tj.ones(2).shape,
    }  # fmt: skip
    memory = io.BytesIO()
    tj.save(state, memory)
    memory.seek(0)
    tj.save(state, tmp_path / "state.pt")
    for found in (tj.load(memory), tj.load(tmp_path / "state.pt", map_location="cpu")):
        np.testing.assert_array_equal(found["w"].detach().numpy(), A)
        assert found["w"].requires_grad
        assert found["k"].dtype is tj.int64
        assert found["list"][0].dtype is tj.float32
        assert found["dtype"] is tj.float32
        assert found["shape"] == (2,)


def test_load_runs_no_code():
    class Evil:
        def __reduce__(self):
            return print, ("code was run",)

    file = io.BytesIO(pickle.dumps({"w": Evil()}))
    with pytest.raises(pickle.UnpicklingError, match="weights_only=False"):
        tj.load(file)
    file = io.BytesIO(pickle.dumps(pathlib_like()))
    with pytest.raises(pickle.UnpicklingError):
        tj.load(file)
    file.seek(0)
    assert tj.load(file, weights_only=False) is not None


def test_what_programs_ask_of_devices():
    cudnn.benchmark = True
    asked = tj.accelerator.is_available, tj.backends.mps.is_available, tj.backends.mps.is_built, cudnn.is_available
    assert not any(f() for f in (*asked, tj.backends.cuda.is_built))
    assert not tj.backends.cuda.matmul.allow_tf32
    assert tj.accelerator.current_accelerator() is None
    assert tj.accelerator.device_count() == tj.cuda.max_memory_allocated() == tj.cuda.memory_allocated() == 0
    with pytest.raises(RuntimeError, match="CPU"):
        tj.accelerator.current_device_index()
    tj.set_default_device("cpu")
    assert tj.get_default_device() == tj.device("cpu")
    with pytest.raises(RuntimeError, match="CPU"):
        tj.set_default_device("cuda")
    x = tj.ones(2)
    assert not any((x.is_cuda, x.is_mps, x.is_sparse, x.is_meta, x.is_quantized))
    net = tj.nn.DataParallel(tj.nn.Linear(2, 3))
    assert tuple(net(x).shape) == (3,)
    assert [name for name, _ in net.named_parameters()] == ["module.weight", "module.bias"]
    assert tj.autograd.function.once_differentiable is tj.autograd.once_differentiable


def test_sequences_are_padded():
    parts = [tj.tensor(A[:n], requires_grad=True) for n in (3, 1, 2)]
    padded = pad_sequence(parts)
    assert tuple(padded.shape) == (3, 3, 4)
    assert padded[1:, 1].abs().sum().item() == 0
    padded.sum().backward()
    assert all((p.grad == 1).all() for p in parts)
    first = pad_sequence([tj.tensor([1.0, 2.0]), tj.tensor([3.0])], batch_first=True, padding_value=-1.0)
    assert first.tolist() == [[1.0, 2.0], [3.0, -1.0]]
    assert pad_sequence([tj.tensor([1, 2]), tj.tensor([3])], True, 0, "left").tolist() == [[1, 2], [0, 3]]
    for x, y in zip(unpad_sequence(padded, tj.tensor([3, 1, 2])), parts, strict=True):
        np.testing.assert_array_equal(x.detach().numpy(), y.detach().numpy())
    with pytest.raises(ValueError, match="side"):
        pad_sequence([tj.ones(1)], padding_side="middle")


def pathlib_like():
    return np.random.default_rng(0)


def test_compile():
    @tj.compile
    def f(x):
        return (x * x).sum()

    g = tj.compile(mode="max-autotune", fullgraph=True)(lambda x: (x * x).sum())
    for h in (f, g, tj.compile(f, backend="inductor"), tj.compile(lambda x: (x * x).sum(), disable=True)):
        assert float(h(tj.tensor([1.0, 2.0]))) == 5.0


def test_assert_close():
    close = tj.testing.assert_close
    close(tj.ones(3), tj.ones(3) + 1e-9)
    close([1.0, {"a": tj.ones(2)}], [1.0, {"a": tj.ones(2)}])
    close(tj.tensor([np.nan]), tj.tensor([np.nan]), equal_nan=True)
    close(tj.ones(2), tj.ones(2, dtype=tj.float32), check_dtype=False)
    for actual, expected, message in (
        (tj.ones(3), tj.ones(3) + 1e-3, "3 of 3"), (tj.ones(2), tj.ones(3), "shapes"),
        (tj.ones(2), tj.ones(2).float(), "dtypes"), (tj.tensor([1, 2]), tj.tensor([1, 3]), r"at \(1,\)"),
        ([1.0], [1.0, 2.0], "lengths"), (1.0, 2.0, "largest difference is 1"),
    ):  # fmt: skip
        with pytest.raises(AssertionError, match=message):
            close(actual, expected)
    with pytest.raises(ValueError, match="together"):
        close(1.0, 1.0, rtol=1.0)
    with pytest.raises(AssertionError, match="mine"):
        close(1.0, 2.0, msg="mine")


WINDOWS = {
    "bartlett": "bartlett", "blackman": "blackman", "cosine": "cosine", "hamming": "hamming", "hann": "hann",
    "nuttall": "nuttall", "gaussian": ("gaussian", 1.5), "exponential": ("exponential", None, 2.0), "kaiser": ("kaiser", 5.0),
    "general_hamming": ("general_hamming", 0.6), "general_cosine": ("general_cosine", [0.4, 0.5, 0.1]),
}  # fmt: skip
PARAMETERS = {
    "gaussian": {"std": 1.5}, "exponential": {"tau": 2.0}, "kaiser": {"beta": 5.0}, "general_hamming": {"alpha": 0.6},
    "general_cosine": {"a": [0.4, 0.5, 0.1]},
}  # fmt: skip


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("sym", [True, False])
def test_windows(name, sym):
    for m in (7, 8, 1):
        found = getattr(tj.signal.windows, name)(m, sym=sym, **PARAMETERS.get(name, {}))
        np.testing.assert_allclose(found.numpy(), scipy.signal.get_window(WINDOWS[name], m, fftbins=not sym), atol=1e-15)
    assert getattr(tj.signal.windows, name)(0, **PARAMETERS.get(name, {})).shape == (0,)


REDUCTIONS = {
    "sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min,
    "median": lambda x: np.sort(x)[(len(x) - 1) // 2],
    "var": lambda x: x.var(ddof=1), "std": lambda x: x.std(ddof=1), "logsumexp": lambda x: np.log(np.exp(x).sum()),
    "norm": np.linalg.norm, "argmax": np.argmax, "argmin": np.argmin,
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
def test_masked_reductions(name):
    function = getattr(tj.masked, name)
    x, mask = tj.tensor(A), tj.tensor(MASK)
    arguments = (2.0, 1) if name == "norm" else (1,)
    found = function(x, *arguments, mask=mask)
    rows = zip(A, MASK, strict=True)
    expected = [np.flatnonzero(m)[REDUCTIONS[name](r[m])] if "arg" in name else REDUCTIONS[name](r[m]) for r, m in rows]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    whole = [REDUCTIONS[name](r) for r in A]
    np.testing.assert_allclose(function(x, *arguments).numpy(), whole, rtol=1e-12)
    if "arg" not in name:
        check_grad(lambda x: function(x, *arguments, mask=mask), A)


def test_masked_along():
    x, mask = tj.tensor(A), tj.tensor(MASK)
    hidden = np.where(MASK, A, -np.inf)
    soft = np.exp(hidden) / np.exp(hidden).sum(1, keepdims=True)
    np.testing.assert_allclose(tj.masked.softmax(x, 1, mask=mask).numpy(), soft, rtol=1e-13)
    np.testing.assert_allclose(tj.masked.softmin(-x, 1, mask=mask).numpy(), soft, rtol=1e-13)
    np.testing.assert_allclose(tj.masked.log_softmax(x, 1, mask=mask).exp().numpy(), soft, rtol=1e-13)
    np.testing.assert_allclose(tj.masked.cumsum(x, 1, mask=mask).numpy(), np.cumsum(np.where(MASK, A, 0), 1), rtol=1e-13)
    np.testing.assert_allclose(tj.masked.cumprod(x, 1, mask=mask).numpy(), np.cumprod(np.where(MASK, A, 1), 1), rtol=1e-13)
    found = tj.masked.normalize(x, 2.0, 1, mask=mask).numpy()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0)
    joined = tj.masked.logaddexp(x, x, input_mask=mask, other_mask=~mask)
    np.testing.assert_allclose(joined.numpy(), A, rtol=1e-13)
    with pytest.raises(TypeError, match="bool"):
        tj.masked.sum(x, 1, mask=x)


LINALG = {
    "tensorinv": (
        lambda x: tj.linalg.tensorinv(x.reshape(3, 3, 1), 1), lambda x: np.linalg.tensorinv(x.reshape(3, 3, 1), 1), SQUARE
    ),
    "tensorsolve": (lambda x, b: tj.linalg.tensorsolve(x, b), np.linalg.tensorsolve, SQUARE, A[:, 0]),
    "vecdot": (tj.linalg.vecdot, lambda x, y: (x * y).sum(-1), A, A * 2 + 1),
    "triangular_solve": (
        lambda b, x: tj.triangular_solve(b, x)[0], lambda b, x: np.linalg.solve(np.triu(x), b), A, SQUARE
    ),
    "inv_ex": (lambda x: tj.linalg.inv_ex(x).inverse, np.linalg.inv, SQUARE),
    "solve_ex": (lambda x, b: tj.linalg.solve_ex(x, b).result, np.linalg.solve, SQUARE, A),
    "lu_factor_ex": (lambda x: tj.linalg.lu_factor_ex(x).LU.diagonal().prod().abs(), lambda x: abs(np.linalg.det(x)), SQUARE),
    "cholesky_ex": (lambda x: tj.linalg.cholesky_ex(x @ x.mT).L, lambda x: np.linalg.cholesky(x @ x.T), SQUARE),
}  # fmt: skip


@pytest.mark.parametrize("name", LINALG)
def test_further_forms_of_linalg(name):
    function, reference, *operands = LINALG[name]
    np.testing.assert_allclose(function(*map(tj.tensor, operands)).numpy(), reference(*operands), rtol=1e-10)
    check_grad(function, *operands)


def test_failures_told_by_a_number():
    singular = tj.zeros(3, 3)
    assert tj.linalg.inv_ex(singular).info.item() == 1
    assert tj.linalg.cholesky_ex(-tj.eye(3)).info.item() == 1
    assert tj.linalg.inv_ex(tj.eye(3)).info.item() == 0
    with pytest.raises(tj.linalg.LinAlgError):
        tj.linalg.inv_ex(singular, check_errors=True)


def test_copies_of_views():
    x = tj.tensor(A)
    for found, view in (
        (tj.narrow_copy(x, 0, 1, 2), x.narrow(0, 1, 2)), (tj.permute_copy(x, (1, 0)), x.T), (tj.t_copy(x), x.T),
        (tj.unsqueeze_copy(x, 0), x.unsqueeze(0)), (tj.unbind_copy(x)[1], x[1]), (tj.alias_copy(x), x),
    ):  # fmt: skip
        assert tj.equal(found, view)
        assert found.data_ptr() != view.data_ptr()


def test_axis_as_a_keyword():
    x = tj.tensor(A)
    assert tj.cat((x, x), axis=1).shape == tj.concatenate((x, x), axis=1).shape == (3, 8)
    assert tj.stack((x, x), axis=2).shape == (3, 4, 2)
    assert x[:, None].squeeze(axis=1).shape == tj.squeeze(x[:, None], axis=1).shape == (3, 4)
    assert tj.equal(tj.roll(x, 1, axis=0), x.roll(1, 0))
    assert len(tj.split(x, 2, axis=1)) == 2
    assert x.nbytes == 96


def test_masked_logsumexp_over_everything():
    x, mask = np.array([[0.1, 2.0], [-1.0, 0.5]]), np.array([[True, False], [True, True]])
    found = tj.masked.logsumexp(tj.tensor(x), mask=tj.tensor(mask))
    assert found.item() == pytest.approx(np.log(np.exp(x[mask]).sum()))
