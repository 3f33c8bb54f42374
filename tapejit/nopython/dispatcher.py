"""The object a transform returns: a Numba dispatcher whose code depends on the argument types.

It is called from Python, or from compiled code as a global or closure variable. What is compiled for functions that are jitted
with ``cache=True`` is kept on disk, under a key of what they and their callees contain, and of the engine's sources.
"""

import functools
import inspect
import warnings

from numba.core import types
from numba.core.errors import NumbaError, NumbaPendingDeprecationWarning
from numba.extending import models, register_model

from tapejit.edge import collecting
from tapejit.edge.caching import FunctionCache
from tapejit.edge.compiler import (
    AttributeTemplate,
    CPUDispatcher,
    Dispatcher,
    _FunctionCompiler,
    infer_getattr,
    lower_getattr,
    normalize_signature,
)
from tapejit.nopython.explain import DifferentiationError, clean, refused
from tapejit.nopython.fingerprint import fingerprint
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


class _Kept(FunctionCache):
    """The cache of a derivative, whose code is that of a user's function too, as it is when it is compiled."""

    def __init__(self, transform, users):
        super().__init__(transform.py_func)
        self._choose = transform._compiler._get_implementation
        self._users = users
        self._contents = None

    def load_overload(self, signature, target_context):
        self._contents = fingerprint(self._users)
        return None if self._contents is None else super().load_overload(signature, target_context)

    def save_overload(self, signature, result):
        """Not of recursive functions: what they ask for by name would not be there when they are loaded."""
        same = self._contents is not None and self._contents == fingerprint(self._users)
        if same and not result.library.asks_by_name():
            super().save_overload(signature, result)

    def _key(self, signature, codegen):
        """Also the body: one signature has several, for many numbers and for few."""
        body = self._choose(normalize_signature(signature)[0], {}).__code__
        return *super()._key(signature, codegen), body.co_filename, self._contents


class Transform(CPUDispatcher):
    """A derivative of a function ``users``. ``into``, where there is one, is the form that writes into given arrays."""

    def __init__(self, py_func, choose, forms=None, users=None):
        super().__init__(
            py_func, targetoptions={"nopython": True, "nogil": True}, pipeline_class=ActiveCompiler
        )
        compiler = _TypedCompiler(py_func, self.targetdescr, self.targetoptions, {}, ActiveCompiler)
        compiler.choose = choose
        self._compiler = compiler
        self.forms = forms or {}
        self.recipe = None  # what pickle needs: (function, arguments)
        if isinstance(users, Dispatcher) and type(users._cache).__name__ != "NullCache":
            self._cache = _Kept(self, users)

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
