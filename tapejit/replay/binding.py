"""Transforms of methods: they bind as functions do, and their arguments are counted from the first after ``self``."""

import functools
import inspect
import types


class Same:
    """A static value that is told from others by identity, not by equality."""

    __slots__ = ("object",)

    def __init__(self, x):
        self.object = x

    def __hash__(self):
        return id(self.object)

    def __eq__(self, other):
        return other.__class__ is Same and other.object is self.object


def binds(fun) -> bool:
    """Whether a callable becomes a method as the attribute of a class."""
    fixed = (staticmethod, functools.partial, types.MethodType, type)
    return hasattr(type(fun), "__get__") and not isinstance(fun, fixed)


def belongs(function, x) -> bool:
    """Whether ``function`` is a method of the object, or class, ``x``: it was called as ``Class.method(x, ...)``."""
    owner = x if isinstance(x, type) else type(x)
    found = inspect.getattr_static(owner, getattr(function, "__name__", ""), None)
    return getattr(found, "__func__", found) is function


class Bound(functools.partial):
    """A transformed method of one object: what it is called with comes after the object."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.func, name)

    def into(self, *args):
        """As ``into`` of the function, the object being given."""
        return self.func.into(*self.args, *args)

    def __repr__(self):
        return f"<bound {self.func!r} of {self.args[0]!r}>"

    def __reduce__(self):
        return getattr, (self.args[0], self.func.__name__)


def shifted(numbers):
    """Numbers of arguments when ``self`` is counted too."""
    return tuple(k + 1 if k >= 0 else k for k in numbers)


def on_objects(fun, remade):
    """A function of (object, arguments): ``remade(method)`` is the transform of a bound method."""

    def function(owner, *args, **kwargs):
        method = fun.__get__(None, owner) if isinstance(fun, classmethod) else fun.__get__(owner, type(owner))
        return remade(method).function(*args, **kwargs)

    return function
