"""What is measured: workloads, and the libraries that compute them.

A workload is one problem. Libraries register on it; each gives a function that prepares everything that a user prepares
once (imports, compiled functions, buffers) and returns a ``call`` without arguments, which is what is timed::

    work = Workload("Rosenbrock n=100", "array code", reference="hand")

    @work.library("JAX", needs="jax", form="jit(value_and_grad)")
    def _():
        import jax
        function = jax.jit(jax.value_and_grad(rosenbrock))
        return lambda: jax.block_until_ready(function(x))

``call()`` returns what the reference returns, in any nesting of numbers and arrays: usually the value and the gradient.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

WORKLOADS = {}  # name: Workload, in the order of registration
# The order of the report; a group that is not here follows after these.
GROUPS = (
    "scalar loops", "array code", "transcendental batches", "second order", "many derivatives", "simulations",
    "inside compiled code", "eager",
)  # fmt: skip


class Unavailable(Exception):
    """Raised by a library's preparation where it cannot take part: the reason is what the report says."""


@dataclass
class Library:
    """One library's way to compute a workload.

    ``needs``: modules that must be importable. ``form``: the form that was chosen, in a few words, for the report.
    ``slow``: left out of quick runs.
    """

    name: str
    prepare: Callable
    needs: tuple = ()
    form: str = ""
    slow: bool = False

    def missing(self):
        """Why it cannot run here, or None."""
        absent = [m for m in self.needs if not installed(m)]
        return f"{', '.join(absent)} not installed" if absent else None


@dataclass
class Workload:
    """One problem. Registers itself under its name.

    ``group``: the heading in the report. ``reference``: a registered library's name, or a function that returns the result
    to agree with. ``tolerance``: largest relative difference from it. ``threads``: what libraries may use. ``per``: gradients
    in one call; times are divided by it. ``note``: a sentence for the report. ``target``: the most that tapejit's time may
    be of the hand version's, if there is such a bar.
    """

    name: str
    group: str
    reference: str | Callable = "hand"
    tolerance: float = 1e-9
    threads: int = 1
    per: int = 1
    note: str = ""
    target: float | None = None
    libraries: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.name in WORKLOADS:
            raise ValueError(f"there are two workloads of the name {self.name!r}")
        WORKLOADS[self.name] = self

    def library(self, name, needs=(), *, form="", slow=False):
        """Decorator: register a preparation, which returns the call to be timed."""

        def register(prepare):
            if name in self.libraries:
                raise ValueError(f"{self.name}: {name!r} is registered twice")
            modules = (needs,) if isinstance(needs, str) else tuple(needs)
            self.libraries[name] = Library(name, prepare, modules, form, slow)
            return prepare

        return register

    def expected(self):
        """The reference's result as one vector."""
        prepare = self.libraries[self.reference].prepare() if isinstance(self.reference, str) else self.reference
        return flat(prepare())

    def cases(self):
        """One parameter for pytest per library: ``(workload, library)``."""
        import pytest

        return [pytest.param(self, library, id=f"{self.name}-{name}") for name, library in self.libraries.items()]


def installed(module):
    return importlib.util.find_spec(module) is not None


def cases():
    """The cases of all workloads."""
    return [case for work in load().values() for case in work.cases()]


def load():
    """All workloads by group: every module of ``bench.workloads`` is imported."""
    from bench import workloads

    for module in sorted(m.name for m in pkgutil.iter_modules(workloads.__path__)):
        importlib.import_module(f"bench.workloads.{module}")
    ranks = {group: rank for rank, group in enumerate(GROUPS)}
    return dict(sorted(WORKLOADS.items(), key=lambda item: ranks.get(item[1].group, len(ranks))))


def select(words):
    """The workloads whose name or group contains one of the words; all without words."""
    found = [w for w in load().values() if not words or any(o.lower() in f"{w.name} {w.group}".lower() for o in words)]
    if not found:
        raise SystemExit(f"no workload's name or group contains any of {', '.join(words)}")
    return found


# --- results ----------------------------------------------------------------------------------------------------------


def flat(result):
    """All numbers of a result as one float64 vector, copied: calls may return the buffers they fill again."""
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, tuple | list):
        return np.concatenate([flat(r) for r in result]) if result else np.empty(0)
    if hasattr(result, "detach"):
        result = result.detach()
    return np.array(result, dtype=np.float64).ravel()


def disagreement(found, expected, tolerance):
    """What is wrong with a result, in words, or None."""
    if found.shape != expected.shape:
        return f"{found.size} numbers where the reference has {expected.size}"
    if not np.isfinite(found).all():
        return f"{np.count_nonzero(~np.isfinite(found))} of {found.size} numbers are not finite"
    error = np.abs(found - expected) / (np.abs(expected) + np.abs(expected).mean() + 1e-300)
    if error.size and error.max() > tolerance:
        return f"relative error {error.max():.1e} at number {error.argmax()} of {found.size}"
    return None
