"""Graphs built anew at every call: what an operation and its backward cost."""

from bench import peers
from bench.harness import Workload

CHAIN = ([1.0, 2.0, 3.0, 4.0], [0.999, 1.0, 1.001, 1.002], [1.0] * 4)
LENGTH = 1_000


def multiply(x, y, seed):
    z = x
    for _ in range(LENGTH):
        z = z * y
    return (z * seed).sum()


def chain_reference():
    import numpy as np

    x, y, _ = map(np.array, CHAIN)
    return (x * y**LENGTH).sum(), y**LENGTH, x * LENGTH * y ** (LENGTH - 1)


def tiny(a, b):
    """BurTorch's tiny task: seven operations on two numbers."""
    c = a + b
    d = a * b + b**3
    e = c - d
    f = e**2
    return f / 2


chain = Workload("chain of 1 000 products, 4 elements, graph built each time", "eager", reference=chain_reference)
task = Workload("BurTorch's tiny task, graph built each time", "eager", reference=lambda: (612.5, -35.0, 1050.0))


@chain.library("hand", "numba")
def _():
    import numpy as np

    from bench.problems.chain import value_and_gradient

    x, y, seed = map(np.array, CHAIN)
    return lambda: value_and_gradient(x, y, seed, LENGTH)


@task.library("hand", "numba")
def _():
    from bench.problems.tiny import value_and_gradient

    return lambda: value_and_gradient(-41.0, 2.0)


@chain.library("tapejit eager", "tapejit", form=peers.EAGER)
def _():
    import tapejit as tj

    return peers.eager(tj, multiply, CHAIN, (0, 1))


@chain.library("PyTorch", "torch", form=peers.TORCH)
def _():
    import torch

    return peers.eager(torch, multiply, CHAIN, (0, 1))


@chain.library("autograd", "autograd", form=peers.AUTOGRAD)
def _():
    import autograd.numpy as anp

    def f(x, y):
        z = x
        for _ in range(LENGTH):
            z = z * y
        return anp.sum(z)

    return peers.autograd(f, [anp.array(a) for a in CHAIN[:2]], (0, 1))


def fresh(T):
    """The leaves are made anew too, as in the task."""

    def call():
        a = T.tensor(-41.0, dtype=T.float64, requires_grad=True)
        b = T.tensor(2.0, dtype=T.float64, requires_grad=True)
        g = tiny(a, b)
        g.backward()
        return g, a.grad, b.grad

    return call


@task.library("tapejit eager", "tapejit", form=peers.EAGER)
def _():
    import tapejit as tj

    return fresh(tj)


@task.library("PyTorch", "torch", form=peers.TORCH)
def _():
    import torch

    return fresh(torch)


@task.library("autograd", "autograd", form=peers.AUTOGRAD)
def _():
    return peers.autograd(tiny, [-41.0, 2.0], (0, 1))


@task.library("XAD", "xad", form=peers.XAD)
def _():
    return peers.xad(lambda x: tiny(*x), (-41.0, 2.0))
