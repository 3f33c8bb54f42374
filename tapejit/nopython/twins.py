"""Active twins: the second life of a user's function, compiled for active arguments."""

from tapejit.edge.compiler import CPUDispatcher, Dispatcher
from tapejit.nopython.cache import is_cacheable
from tapejit.nopython.exchange import supplied
from tapejit.nopython.pipeline import ActiveCompiler
from tapejit.nopython.types import has_active

_INHERITED = ("fastmath", "error_model", "boundscheck")
OPTIONS = {
    "nopython": True,
    "nogil": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


class ActiveDispatcher(CPUDispatcher):
    """Compiles a function with the active pipeline; calls without active arguments go to the original."""

    original = None

    def _is_plain(self, args):
        return self.original is not None and not any(map(has_active, args))

    def get_call_template(self, args, kws):
        if self._is_plain([*args, *kws.values()]):
            return self.original.get_call_template(args, kws)
        return super().get_call_template(args, kws)

    def get_overload(self, sig):
        args = sig if isinstance(sig, tuple) else sig.args
        return self.original.get_overload(sig) if self._is_plain(args) else super().get_overload(sig)


_OWN = ("tapejit.nopython", "tapejit.core", "tapejit.kernels", "tapejit.edge")


def is_own(dispatcher):
    """Whether a jitted function belongs to Numba or to this engine, and is to be compiled as it stands."""
    module = getattr(dispatcher.py_func, "__module__", None) or ""
    return module.split(".")[0] == "numba" or module.startswith(_OWN)


def twin(f, **options):
    """The twin of a function or dispatcher; always the same one for the same function."""
    if isinstance(f, ActiveDispatcher):
        return f
    original = f if isinstance(f, Dispatcher) else None
    owner = original or f
    known = getattr(owner, "_tapejit_twin", None)
    if known is None:
        target = dict(OPTIONS, **options)
        if original is not None:
            target.update({k: original.targetoptions[k] for k in _INHERITED if k in original.targetoptions})
        function = original.py_func if original is not None else f
        known = ActiveDispatcher(function, targetoptions=target, pipeline_class=ActiveCompiler)
        known.original = original
        owner._tapejit_twin = known
    return known


def twin_of(dispatcher):
    """The twin of a user's jitted function; None for one that is to be compiled as it stands."""
    return None if isinstance(dispatcher, ActiveDispatcher) or is_own(dispatcher) else twin(dispatcher)


supplied.twin_of = twin_of


def active_function(f):
    """Decorator for this engine's own functions that compute with active scalars."""
    result = ActiveDispatcher(f, targetoptions=dict(OPTIONS), pipeline_class=ActiveCompiler)
    if is_cacheable(f):
        result.enable_caching()
    return result
