"""Many independent small fits, each a compiled loop."""

import threading
from dataclasses import dataclass

import numpy as np
from numba import njit
from numba.extending import is_jitted

from tapejit import nopython
from tapejit.core.threads import team
from tapejit.eager.creation import as_tensor
from tapejit.eager.indexing import unbind
from tapejit.nopython.cache import unkept
from tapejit.nopython.optimize.levenberg import MESSAGES, solver
from tapejit.nopython.optimize.quasinewton import lbfgs
from tapejit.optimize.objective import kept
from tapejit.optimize.parameters import plain_array
from tapejit.optimize.running import bar
from tapejit.replay.jacobianpasses import jacobian
from tapejit.replay.transforms import jit

_CHUNK = 2048  # problems between two looks at Ctrl-C and the bar
WAITING = -3  # the status of a problem that was not begun when a run was interrupted


@dataclass
class Fits:
    """The results of ``fit_many``; row k of everything belongs to problem k.

    Attributes:
        x: parameters, (problems, parameters); the start where a fit failed or was not begun.
        cov: their covariances, (problems, parameters, parameters); inf where it cannot be estimated, nan where a fit failed
            or was not begun.
        cost: half the sums of squares.
        status: 1, 2 or 3 for ``gtol``, ``ftol``, ``xtol``; 0: evaluations used up; -1: not finite; -2: stuck; -3: interrupted.
        nfev: evaluations of the model.
    """

    x: np.ndarray
    cov: np.ndarray
    cost: np.ndarray
    status: np.ndarray
    nfev: np.ndarray

    @property
    def success(self) -> np.ndarray:
        """Which problems were solved."""
        return self.status > 0

    @property
    def message(self) -> str:
        """How many problems ended how."""
        counts = zip(*np.unique(self.status, return_counts=True), strict=True)
        words = {**MESSAGES, WAITING: "Interrupted before this problem was begun."}
        return "\n".join(f"{count} of {len(self.status)}: {words[int(status)]}" for status, count in counts)


def fit_many(f, x, Y, p0, *, x_axis=None, sigma=None, absolute_sigma=False, bounds=(-np.inf, np.inf), max_nfev=200,
             ftol=1e-10, xtol=1e-10, gtol=1e-12, threads=1, progress=False):  # fmt: skip
    """Fit one model to many data sets: what ``curve_fit`` does for one, as a compiled loop over all.

    Args:
        f: the model ``f(x, a, b, ...)``: of tensors, for all points at once; or jitted by Numba, for one point.
        x: what the model gets as its first argument, the same for all; with ``x_axis=0``, ``x[k]`` for problem k.
        Y: the data, (problems, points).
        p0: the start, (parameters,), or (problems, parameters).
        sigma: standard deviations of the data, a number, (points,) or (problems, points).
        absolute_sigma: as in ``curve_fit``.
        bounds: (low, high), numbers or one for each parameter.
        max_nfev, ftol, xtol, gtol: when to stop; relative to the sum of squares, to the parameters, and the gradient.
        threads: over which problems are spread.
        progress: show a bar (needs tqdm).

    Returns:
        Fits. A problem whose data or model are not finite has a status of its own and stops no other.

    Raises:
        ValueError: for shapes that do not fit together.
    """
    x, Y = _data(x, Y, x_axis)
    count, m = Y.shape
    p, w, low, high = _broadcast(p0, sigma, bounds, Y)
    n = p.shape[1]
    first = x if x_axis is None else x[0]
    run = kept(f, ("many", n, m, first.shape), lambda: _loop(f, p[0], first, m))
    found = Fits(
        p, np.full((count, n, n), np.nan), np.full(count, np.nan), np.full(count, WAITING), np.zeros(count, np.int64)
    )
    each = x[None] if x_axis is None else x
    options = (low, high, bool(absolute_sigma), max_nfev, float(ftol), float(xtol), float(gtol))

    def go(part):
        rows = [d if len(d) == 1 else d[part] for d in (each, Y, w)]
        try:
            run(found.x[part], *rows, found.cov[part], found.cost[part], found.status[part], found.nfev[part], *options)
        except RuntimeError as error:
            if "no recorded path" not in str(error):
                raise
            raise RuntimeError(
                "fit_many(): the model takes another path for other parameters (an `if` on a value): write tj.where, or jit it "
                f"with Numba, for one point ({error})"
            ) from None

    _in_chunks(go, count, "fit_many", threads, progress)
    return found


def _data(x, Y, x_axis):
    """Both as float64 arrays, of shapes that fit together."""
    Y, x = _real("fit_many()", Y=Y, x=x)
    if Y.ndim != 2 or not Y.size:
        raise ValueError(f"fit_many(): Y has shape {Y.shape}; it holds a data set in each row, (problems, points)")
    if x_axis not in (None, 0) or (x_axis == 0 and len(x) != len(Y)):
        raise ValueError(f"fit_many(): x_axis={x_axis} and x of shape {x.shape} for {len(Y)} data sets; x_axis is None or 0")
    return x, Y


def _real(what, **arrays):
    """The arrays as contiguous float64."""
    for name, a in arrays.items():
        a = plain_array(a)
        if a.dtype.kind == "c":
            raise TypeError(f"{what}: {name} is complex; fit real and imaginary parts as data of their own")
        yield np.ascontiguousarray(a, dtype=np.float64)


def _broadcast(p0, sigma, bounds, Y):
    """(starts, weights, lower and upper bounds) in the shapes that the loops take."""
    start = np.atleast_1d(plain_array(p0, np.float64))
    (count, m), n = Y.shape, start.shape[-1]
    try:
        p = np.array(np.broadcast_to(start, (count, n)), order="C")
        with np.errstate(divide="ignore"):  # such a problem is not finite
            w = np.ones((1, m)) if sigma is None else np.atleast_2d(1.0 / np.broadcast_to(plain_array(sigma), (count, m)))
        low, high = (np.array(np.broadcast_to(np.asarray(b, dtype=np.float64), (n,))) for b in bounds)
    except ValueError as error:
        raise ValueError(
            f"fit_many(): for Y {Y.shape}, p0 has shape {start.shape}, sigma {np.shape(sigma)}, bounds "
            f"{[np.shape(b) for b in bounds]}: {error}"
        ) from None
    if not (low < high).all():
        raise ValueError(f"fit_many(): bounds {low} and {high}; each lower one is less than the upper one")
    np.clip(p, low, high, out=p)
    return p, w, low, high


@dataclass
class Minima:
    """The results of ``minimize_many``; row k of everything belongs to problem k.

    Attributes:
        x: where the minima are, (problems, numbers).
        fun: the values there.
        status: 0: converged; 1: steps used up; 2: no lower point along the search direction; 3: not finite at the start;
            -3: interrupted.
        nfev: evaluations of the function and its gradient.
    """

    x: np.ndarray
    fun: np.ndarray
    status: np.ndarray
    nfev: np.ndarray

    @property
    def success(self) -> np.ndarray:
        """Which problems were solved."""
        return self.status == 0


def minimize_many(fun, x0, *data, gtol=1e-6, maxiter=1000, threads=1, progress=False):
    """Minimise one function for many data sets: L-BFGS as a compiled loop over all.

    Args:
        fun: ``fun(x, *row)`` gives a number, a plain function for Numba or a jitted one (see ``tj.nopython``).
        x0: the start, (numbers,), or (problems, numbers).
        data: arrays of which row k belongs to problem k.
        gtol, maxiter: when to stop: the largest entry of the gradient, and the number of steps.
        threads: over which problems are spread.
        progress: show a bar (needs tqdm).

    Returns:
        Minima. A problem that is not finite has a status of its own and stops no other.

    Raises:
        ValueError: if the arrays have different numbers of rows.
    """
    data = tuple(np.ascontiguousarray(plain_array(d)) for d in data)
    start = plain_array(x0, np.float64)
    counts = {len(d) for d in data} | ({len(start)} if start.ndim == 2 else set())
    if len(counts) != 1 or start.ndim not in (1, 2):
        raise ValueError(
            f"minimize_many(): a start of shape {start.shape} and data of shapes {[d.shape for d in data]}; all have a row for "
            "each problem, but for a start of one dimension"
        )
    (count,) = counts
    x = np.array(np.broadcast_to(start, (count, start.shape[-1])), order="C")
    run = kept(fun, ("minima", len(data), gtol, maxiter), lambda: _minimiser(lbfgs(fun, gtol=gtol, maxiter=maxiter), len(data)))
    found = Minima(x, np.full(count, np.nan), np.full(count, WAITING), np.zeros(count, np.int64))

    def go(part):
        run(found.x[part], found.fun[part], found.status[part], found.nfev[part], tuple(d[part] for d in data))

    _in_chunks(go, count, "minimize_many", threads, progress)
    return found


def _minimiser(solve, count):
    """Compiled code for rows of problems: Numba wants the rows of a tuple of arrays written out."""
    scope = {"solve": solve}
    row = "".join(f", data[{i}][k]" for i in range(count))
    source = [
        "def run(x, fun, status, nfev, data):",
        "    for k in range(len(x)):",
        f"        x[k], fun[k], status[k], nfev[k] = solve(x[k]{row})",
    ]
    exec(compile("\n".join(source), "<minimize_many>", "exec"), scope)
    return njit(nogil=True, error_model="numpy")(scope["run"])


def _in_chunks(go, count, what, threads, progress):
    """Run slices of the problems; Ctrl-C leaves those that were not begun as they are."""
    if threads < 1:
        raise ValueError(f"{what}(): threads={threads}; at least one")
    shown = bar(what, " problems", count) if progress else None
    go(slice(0, 0))  # compiles
    size = -(-count // (threads * -(-count // (threads * _CHUNK)))) if count else 1  # as many for each thread
    lock = threading.Lock()

    def part(k):
        first, end = k * size, min(k * size + size, count)
        go(slice(first, end))
        if shown is not None:
            with lock:
                shown.update(end - first)

    try:
        team.call(part, -(-count // size), threads)
    except KeyboardInterrupt:
        pass
    finally:
        if shown is not None:
            shown.close()


def _loop(f, p, x, m):
    """Compiled code for rows of problems."""
    fit = solver(_by_points(f, len(p)) if is_jitted(f) else _by_program(f, p, x, m))

    @njit(nogil=True, error_model="numpy")
    def run(P, X, Y, W, cov, cost, status, nfev, low, high, absolute, most, ftol, xtol, gtol):
        for k in range(P.shape[0]):
            x, w = X[min(k, X.shape[0] - 1)], W[min(k, W.shape[0] - 1)]
            status[k], nfev[k], cost[k] = fit(P[k], x, Y[k], w, low, high, cov[k], absolute, most, ftol, xtol, gtol)

    return run


def _by_program(f, p, x, m):
    """The model as a recorded program, for all points at once."""

    def model(p, x):
        value = as_tensor(f(x, *unbind(p)))
        if value.shape not in ((), (1,), (m,)):
            raise ValueError(f"fit_many(): the model gives shape {tuple(value.shape)} for data sets of {m} points")
        value = value.expand((m,))
        return value, value

    def rows(p, x):
        slopes, value = jacobian(model, has_aux=True)(p, x)
        return value, slopes.T

    program = jit(rows, compile="now")
    for _ in range(2):
        program(p, x)
    into = program.nopython_into

    @unkept
    def evaluate(p, x, y, w, r, J):
        into(p, x, r, J)
        for i in range(r.shape[0]):
            r[i] = (r[i] - y[i]) * w[i]
        for j in range(J.shape[0]):
            for i in range(J.shape[1]):
                J[j, i] *= w[i]

    return evaluate


def _by_points(f, n):
    """The model as Numba's code, point by point, by dual numbers."""
    names = [f"p{j}" for j in range(n)]
    source = [
        "def evaluate(p, x, y, w, r, J):",
        *(f"    {name} = p[{j}]" for j, name in enumerate(names)),
        "    for i in range(r.shape[0]):",
        f"        value, slopes = gradient(x[i], {', '.join(names)})",
        "        r[i] = (value - y[i]) * w[i]",
        *(f"        J[{j}, i] = slopes[{j}] * w[i]" for j in range(n)),
    ]
    scope = {"gradient": nopython.value_and_grad(f, argnums=tuple(range(1, n + 1)))}
    exec(compile("\n".join(source), "<fit_many>", "exec"), scope)
    return unkept(scope["evaluate"])
