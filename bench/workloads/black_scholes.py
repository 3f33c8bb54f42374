"""The price of European calls and the five first Greeks: one option, and a million."""

from functools import cache

import numpy as np

from bench import peers
from bench.harness import Workload

MANY = 1_000_000
ALL = (0, 1, 2, 3, 4)
OPTION = (100.0, 110.0, 0.05, 0.2, 1.0)  # spot, strike, rate, volatility, time


@cache
def options():
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 1.5, MANY) * c for c in OPTION]


def price(log, sqrt, exp, normal):
    """The formula over any library's functions; ``normal`` is the normal distribution's."""

    def call(s, k, r, v, t):
        deviation = v * sqrt(t)
        d1 = (log(s / k) + (r + 0.5 * v * v) * t) / deviation
        return s * normal(d1) - k * exp(-r * t) * normal(d1 - deviation)

    return call


def by_erf(erf):
    return lambda x: 0.5 * (1.0 + erf(0.7071067811865476 * x))


def build(library, module):
    if library == "jax":
        from jax.scipy.special import erf
    elif library == "autograd":
        from autograd.scipy.special import erf
    else:
        erf = module.erf
    return price(module.log, module.sqrt, module.exp, by_erf(erf))


def build_many(library, module):
    formula = build(library, module)
    if library == "autograd":
        return lambda *a: module.sum(formula(*a))
    return lambda *a: formula(*a).sum()


one = Workload("Black-Scholes, price and 5 Greeks, one option", "scalar loops", target=1.3)
many = Workload("Black-Scholes, price and 5 Greeks, 1e6 options", "transcendental batches")


@one.library("hand", "numba")
def _():
    from bench.problems.black_scholes import price_and_greeks

    return lambda: price_and_greeks(*OPTION)


@many.library("hand", "numba")
def _():
    from bench.problems.black_scholes import many

    arrays = options()
    return lambda: many(*arrays)


@many.library("C", form="gcc -O3 -march=native -ffast-math, vector mathematics of glibc")
def _():
    function = peers.compiled_c("black_scholes", "many", inputs=10)
    arrays = options()

    def call():
        greeks = [np.empty(MANY) for _ in ALL]
        return function(MANY, *arrays, *greeks), greeks

    return call


peers.array_code(one, build, lambda: OPTION, ALL)
peers.array_code(many, build_many, options, ALL)


@one.library("tapejit nopython", "tapejit", form=peers.NOPYTHON)
def _():
    from bench.problems.black_scholes import price
    from tapejit import nopython

    return peers.replayed(nopython.value_and_grad(price, argnums=ALL), *OPTION)


@many.library("torch.compile", "torch", form="compiled forward and backward", slow=True)
def _():
    import torch

    return peers.eager(torch, torch.compile(build_many("torch", torch)), options(), ALL)


def summed(call):
    """The prices added up, as the others have them."""

    def total():
        values, greeks = call()
        return values.sum(), greeks

    return total


@many.library("tapejit vmap", "tapejit", form="vmap of value_and_grad of the price of one")
def _():
    import tapejit as tj

    one = tj.value_and_grad(build("tapejit", tj), ALL)
    return summed(peers.replayed(tj.vmap(one, compile="now"), *options()))


def casadi_function():
    import casadi as ca

    x = ca.SX.sym("x", 5)
    y = price(ca.log, ca.sqrt, ca.exp, by_erf(ca.erf))(*[x[i] for i in range(5)])
    return ca, x, y


@one.library("CasADi", "casadi", form=peers.CASADI)
def _():
    ca, x, y = casadi_function()
    return peers.casadi([x], [y, ca.gradient(y, x)], [OPTION])


@many.library("CasADi", "casadi", form="SX, map, generated C, gcc -O3 -march=native, buffer()")
def _():
    ca, x, y = casadi_function()
    mapped = ca.Function("f", [x], [y, ca.gradient(y, x)]).map(MANY)
    inputs = ca.MX.sym("x", 5, MANY)
    values, greeks = mapped(inputs)
    return summed(peers.casadi([inputs], [values, greeks], [np.array(options())]))


def ddx_model():
    import ddx

    return price(ddx.log, ddx.sqrt, ddx.exp, by_erf(ddx.erf))(*[ddx.var(n) for n in "skrvt"])


@one.library("ddx", "ddx", form=peers.DDX)
def _():
    return peers.ddx(ddx_model, OPTION)


@many.library("ddx", "ddx", form="compiled for a batch, buffer()")
def _():
    return summed(peers.ddx(ddx_model, np.array(options())))


def heyoka_formula():
    import heyoka as hy

    variables = hy.make_vars(*"skrvt")
    return price(hy.log, hy.sqrt, hy.exp, by_erf(hy.erf))(*variables), variables


@one.library("heyoka", "heyoka", form=peers.HEYOKA)
def _():
    return peers.heyoka(*heyoka_formula(), OPTION)


@many.library("heyoka", "heyoka", form="cfunc over the batch, outputs= given")
def _():
    call = peers.heyoka(*heyoka_formula(), np.array(options()))

    def split():
        outputs = call()
        return outputs[0], outputs[1:]

    return summed(split)


@one.library("XAD", "xad", form=peers.XAD)
def _():
    from xad import math

    return peers.xad(lambda x: price(math.log, math.sqrt, math.exp, by_erf(math.erf))(*x), OPTION)
