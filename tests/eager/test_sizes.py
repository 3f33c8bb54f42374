"""Sizes that nobody has: one clear error, whatever makes the tensor."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tapejit as tj

one = lambda *shape: tj.ones(*[1] * len(shape)).expand(*shape)  # noqa: E731

TOO_LARGE = {
    "zeros": lambda: tj.zeros(2**60),
    "ones": lambda: tj.ones(2**60),
    "full": lambda: tj.full((2**60,), 1.0),
    "full of bools": lambda: tj.full((2**60,), True),
    "empty": lambda: tj.empty(2**62),
    "empty int64": lambda: tj.empty(2**62, dtype=tj.int64),
    "a size over 64 bits": lambda: tj.empty(2**70),
    "a product over 64 bits": lambda: tj.zeros(2**31, 2**31, 4),
    "empty in another dimension": lambda: tj.zeros(2**60, 0),
    "expand": lambda: tj.tensor([1.0]).expand(2**61).exp(),
    "broadcast": lambda: one(2**31, 1) * one(1, 2**30 + 1),
    "arange": lambda: tj.arange(2**60),
    "arange of floats": lambda: tj.arange(0.0, 1e300),
    "eye": lambda: tj.eye(2**31),
    "linspace": lambda: tj.linspace(0, 1, 2**60),
    "rand": lambda: tj.rand(2**60),
    "randn": lambda: tj.randn(2**60),
    "randint": lambda: tj.randint(0, 9, (2**60,)),
    "randperm": lambda: tj.randperm(2**60),
    "outer": lambda: tj.outer(one(2**43), one(2**43)),
    "matmul": lambda: one(2**43, 1) @ one(1, 2**43),
    "cat": lambda: tj.cat([one(2**43)] * 4),
    "stack": lambda: tj.stack([one(2**43)] * 4),
    "index": lambda: tj.ones(1)[tj.zeros(1, dtype=tj.int64).expand(2**60)],
    "zeros_like": lambda: tj.zeros_like(one(2**60)),
    "to": lambda: one(2**60).to(tj.float32),
    "from_numpy": lambda: tj.from_numpy(np.broadcast_to(np.ones(1), (2**56,))),
    "a recorded function": lambda: tj.value_and_grad(lambda x: x.expand(2**61).exp().sum())(np.ones(1)),
    "a recorded broadcast": lambda: tj.value_and_grad(lambda x: (x.expand(2**31, 1) * x.expand(1, 2**30 + 1)).sum())(
        np.ones(1)
    ),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_size_that_cannot_be_addressed(name):
    with pytest.raises((ValueError, MemoryError), match=r"\d{6,}"):
        TOO_LARGE[name]()
    assert (tj.ones(2) * 2).tolist() == [2.0, 2.0]


@pytest.mark.parametrize("make", [tj.zeros, tj.ones, tj.empty, lambda n: tj.full((n,), 1.0), lambda n: tj.full(n, 1.0)])
def test_a_negative_size(make):
    with pytest.raises(ValueError, match="at least 0"):
        make(-1)


@pytest.mark.parametrize("n", [2**60, 2**62, -1])
@pytest.mark.parametrize("make", [np.zeros, np.ones, np.empty])
def test_arrays_inside_a_nopython_function(make, n):
    @tj.nopython.value_and_grad
    def f(x, n):
        a = make(n)
        a[0] = x[0]
        return a[0] * x[0]

    with pytest.raises((ValueError, MemoryError)):
        f(np.ones(3), n)
    assert f(np.ones(3), 2)[0] == 1.0


def limited(megabytes, code):
    """Run code in a process that may take that much more memory than tapejit itself; what it printed."""
    head = f"""
        import resource, numpy as np, tapejit as tj
        w = tj.ones(4, requires_grad=True)
        ((w * 2).exp() + w).sum().backward()
        mapped = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + {megabytes} * 2**20,) * 2)
    """
    script = textwrap.dedent(head) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_memory_that_nobody_holds_is_given_back_before_memory_error():
    """200 MB live and 80 MB a step fit into 560 MB only if dropped tensors are reclaimed when there is no room."""
    code = """
        live = tj.ones(25 * 2**20) * 2
        part = live[: 10 * 2**20]
        for i in range(12):
            y = part * i
        y = None
        for n in (3, 5, 7, 11):
            z = tj.ones(n * 2**20) * 2
        print(z[-1].item(), live[-1].item())
        try:
            tj.ones(200 * 2**20)
        except MemoryError as e:
            print("shape" in str(e))
        z = tj.ones(10 * 2**20)
        print(z.sum().item())
    """
    assert limited(560, code) == ["2.0", "2.0", "True", str(10 * 2.0**20)]
