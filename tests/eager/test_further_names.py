"""Names of PyTorch beside tensors' own: states of the generator, ``jit``, modules, windows, forms in place."""

import numpy as np
import pytest

import tapejit as tj


def test_the_generators_state():
    tj.manual_seed(1)
    state = tj.get_rng_state()
    assert state.dtype is tj.uint8
    first = tj.rand(3).tolist()
    with tj.random.fork_rng():
        tj.manual_seed(9)
        tj.rand(5)
    following = tj.rand(2).tolist()
    tj.set_rng_state(state)
    assert tj.initial_seed() == 1
    assert [tj.rand(3).tolist(), tj.rand(2).tolist()] == [first, following]
    g = tj.Generator().manual_seed(4)
    other = tj.Generator().set_state(g.get_state())
    assert tj.rand(2, generator=g).tolist() == tj.rand(2, generator=other).tolist()
    with pytest.raises(ValueError, match="get_state"):
        tj.set_rng_state(tj.tensor([1, 2], dtype=tj.uint8))
    with pytest.raises(ZeroDivisionError), tj.random.fork_rng():
        raise ZeroDivisionError


def test_jit_as_a_module():
    calls = []

    @tj.jit.script
    def relu_or_double(x):
        calls.append(tj.jit.is_tracing())
        return 2 * x if x.sum() > 0 else x * 0

    assert relu_or_double(tj.ones(2)).tolist() == [2.0, 2.0]
    assert relu_or_double(-tj.ones(2)).tolist() == [0.0, 0.0]
    assert calls
    assert all(calls)
    assert not tj.jit.is_tracing()
    assert not tj.jit.is_scripting()
    net = tj.nn.Sequential(tj.nn.Linear(2, 3), tj.nn.Tanh())
    traced = tj.jit.trace(net, tj.ones(4, 2))
    x = tj.tensor(np.random.default_rng(0).normal(size=(5, 2)), dtype=tj.float32)
    np.testing.assert_allclose(traced(x.to(float)).numpy(force=True), net(x.to(float)).numpy(force=True))
    assert tj.jit.trace(lambda a, b: a * b, (tj.ones(2), tj.ones(2)))(tj.ones(3), 2 * tj.ones(3)).tolist() == [2.0] * 3
    assert tj.jit.ignore(len) is tj.jit.export(len) is tj.jit.unused()(len) is len
    assert tj.jit.annotate(int, 3) == 3
    assert tj._C._get_tracing_state() is None


def test_modules_have_pytorchs_places():
    from tapejit.nn.modules import Linear
    from tapejit.nn.modules.activation import ReLU
    from tapejit.nn.modules.rnn import LSTM
    from tapejit.random import manual_seed
    from tapejit.utils.data.sampler import SubsetRandomSampler

    from tapejit.optim.lr_scheduler import _LRScheduler

    assert (Linear, ReLU, LSTM) == (tj.nn.Linear, tj.nn.ReLU, tj.nn.LSTM)
    assert SubsetRandomSampler is tj.utils.data.SubsetRandomSampler
    assert _LRScheduler is tj.optim.lr_scheduler.LRScheduler
    assert manual_seed is tj.manual_seed
    assert tj.version.cuda is None
    assert tj.version.__version__ == tj.__version__


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "bartlett", "kaiser"])
def test_older_windows(name):
    older, window = getattr(tj, f"{name}_window"), getattr(tj.signal.windows, name)
    assert older(7).tolist() == window(7, sym=False).tolist()
    assert older(7, False, dtype=tj.float32).tolist() == window(7, dtype=tj.float32).tolist()
    if name == "hamming":
        assert older(6, True, 0.5).tolist() == window(6, alpha=0.5, sym=False).tolist()


@pytest.mark.parametrize("name", ["digamma", "lgamma", "erfinv", "i0", "sinc", "logit"])
def test_functions_in_place(name):
    x = tj.tensor([0.25, 0.5, 0.75], requires_grad=True)
    y = x * 1.0
    assert getattr(y, f"{name}_")() is y
    expected = getattr(tj, name)(x)
    assert y.tolist() == expected.tolist()
    found = tj.autograd.grad(y.sum(), x)[0]
    np.testing.assert_allclose(found.numpy(), tj.autograd.grad(expected.sum(), x)[0].numpy())


def test_comparisons_in_place():
    x = tj.tensor([0.5, 2.0, 0.3])
    assert x.ge_(0.5).tolist() == [1.0, 1.0, 0.0]
    assert x.dtype is tj.float64
    n = tj.tensor([1, 2])
    assert n.eq_(2).tolist() == [0, 1]
    assert n.dtype is tj.int64


def test_what_needs_a_gpu():
    assert not tj.cuda.is_bf16_supported()
    with pytest.raises(RuntimeError, match="set_device"):
        tj.cuda.set_device(0)
    with pytest.raises(AttributeError, match="nccl"):
        _ = tj.cuda.nccl
