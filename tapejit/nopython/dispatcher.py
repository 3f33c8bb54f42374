"""The object a transform returns: a Numba dispatcher whose code depends on the argument types.

It is called from Python, or from compiled code as a global or closure variable. Its on-disk cache (for functions that
are jitted with ``cache=True``) is keyed by what the function and its callees contain, and by the engine's sources.
"""

import functools
import hashlib
import inspect
import types as pytypes
import warnings

import numpy as np
from numba.core import types
from numba.core.errors import NumbaError, NumbaPendingDeprecationWarning
from numba.extending import models, register_model

from tapejit.edge import collecting
from tapejit.edge.compiler import (
    AttributeTemplate,
    CPUDispatcher,
    Dispatcher,
    _FunctionCompiler,
    infer_getattr,
    lower_getattr,
)
from tapejit.nopython.explain import DifferentiationError, clean, refused
from tapejit.nopython.pipeline import ActiveCompiler
from tapejit.nopython.types import has_active


class TransformType(types.Dispatcher):
    """The Numba type of a transform: what Numba needs of a dispatcher, and its forms as attributes."""


register_model(TransformType)(models.OpaqueModel)


@infer_getattr
class TransformAttributes(AttributeTemplate):
    key = TransformType

    def generic_resolve(self, ty, attr):
        form = ty.dispatcher.forms.get(attr)
        return None if form is None else form._numba_type_


def _form_value(context, builder, ty, value):
    return context.get_dummy_value()


lower_getattr(TransformType, "into")(_form_value)


class _TypedCompiler(_FunctionCompiler):
    """Compiles one of several bodies of the same signature, chosen by the argument types.

    ``given`` are the arguments themselves, where the call comes from Python: sizes may help to choose.
    """

    choose = None
    given = ()

    def _get_implementation(self, args, kws):
        return self.choose(args, self.given)

    def compile(self, args, return_type):
        """Without Numba's memory of failures: objects of any class without a type have one signature."""
        return self._compile_core(args, return_type)

    def _compile_core(self, args, return_type):
        plain = self.targetoptions
        if any(map(has_active, args)):  # no Python object stands for an active value
            self.targetoptions = dict(plain, no_cpython_wrapper=True, no_cfunc_wrapper=True)
        try:
            return super()._compile_core(args, return_type)
        finally:
            self.targetoptions = plain


class Transform(CPUDispatcher):
    """A derivative of a function. ``into``, where there is one, is the form that writes into given arrays."""

    def __init__(self, py_func, choose, forms=None, cache=False):
        super().__init__(
            py_func, targetoptions={"nopython": True, "nogil": True}, pipeline_class=ActiveCompiler
        )
        compiler = _TypedCompiler(py_func, self.targetdescr, self.targetoptions, {}, ActiveCompiler)
        compiler.choose = choose
        self._compiler = compiler
        self.forms = forms or {}
        self.recipe = None  # what pickle needs: (function, arguments)
        if cache:
            self.enable_caching()

    @property
    def _type(self):
        return self._transform_type

    @_type.setter
    def _type(self, plain):  # Numba's constructor would register a plain dispatcher type
        self._transform_type = TransformType(self)

    @property
    def _numba_type_(self):
        return self._transform_type

    @property
    def into(self):
        """The same derivative, written into arrays: ``value = g.into(*args, out)``."""
        return self.forms["into"]

    def _compile_for_args(self, *args, **kws):
        self._compiler.given = args
        try:
            with collecting.paused(), warnings.catch_warnings():  # lists are taken, and copied, on purpose
                warnings.simplefilter("ignore", NumbaPendingDeprecationWarning)
                return super()._compile_for_args(*args, **kws)
        except NumbaError as error:
            explained = clean(error) or clean(refused(error, self.py_func))
        finally:
            self._compiler.given = ()
        raise DifferentiationError(explained)

    def __reduce__(self):
        """A transform is pickled as the call that made it: the function must be one that pickle finds by its name."""
        return self.recipe


_TRANSFORMS = {}


def pickled(transform):
    """Decorator: what the transform returns is pickled as its call, its forms as attributes of that."""

    @functools.wraps(transform)
    def make(*args, **options):
        if not args and "f" not in options:  # a decorator with arguments
            return functools.partial(make, **options)
        result = transform(*args, **options)
        bound = inspect.signature(transform).bind(*args, **options)
        call = transform.__name__, tuple(bound.arguments.items())
        result.recipe = _made_again, call
        for name, form in result.forms.items():
            form.recipe = _made_again, (*call, name)
        return result

    _TRANSFORMS[transform.__name__] = make
    return make


def _made_again(name, arguments, form=None):
    result = _TRANSFORMS[name](**dict(arguments))
    return result if form is None else result.forms[form]


def fingerprint(function):
    """A digest of a function's code, constants, and the values, functions and modules' attributes it refers to."""
    digest = hashlib.blake2b(digest_size=12)
    _digest(function, digest, set())
    return digest.hexdigest()


def _digest(value, digest, seen):
    if isinstance(value, Dispatcher):
        digest.update(repr(sorted(value.targetoptions.items(), key=str)).encode())
        value = value.py_func
    if isinstance(value, pytypes.FunctionType):
        if id(value) in seen:
            return
        seen.add(id(value))
        _digest(value.__code__, digest, seen)
        _digest(value.__defaults__, digest, seen)
        for cell in value.__closure__ or ():
            _digest(cell.cell_contents, digest, seen)
        for name in _names(value.__code__):
            digest.update(name.encode())
            if name in value.__globals__:
                found = value.__globals__[name]
                _digest(found, digest, seen)
                if isinstance(found, pytypes.ModuleType):
                    _digest_attributes(found, value.__code__, digest, seen)
    elif isinstance(value, pytypes.CodeType):
        digest.update(value.co_code)
        digest.update(repr(value.co_names + value.co_varnames).encode())
        for constant in value.co_consts:
            _digest(constant, digest, seen)
    elif isinstance(value, np.ndarray):
        digest.update(repr((value.dtype, value.shape)).encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, (tuple, list)):
        for item in value:
            _digest(item, digest, seen)
    elif isinstance(value, pytypes.ModuleType):
        digest.update(value.__name__.encode())
    elif isinstance(value, (int, float, complex, str, bytes, bool, type(None), np.generic)):
        digest.update(repr(value).encode())
    else:
        digest.update(repr(type(value)).encode())
        digest.update(getattr(value, "__qualname__", "").encode())


def _digest_attributes(module, code, digest, seen):
    """Constants and functions of a user's module; NumPy's and the standard library's are taken as they are."""
    if module.__name__.split(".")[0] in ("numpy", "math", "operator", "scipy", "numba"):
        return
    for name in _names(code):
        if hasattr(module, name):
            _digest(getattr(module, name), digest, seen)


def _names(code):
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, pytypes.CodeType):
            names += _names(constant)
    return sorted(set(names))
