"""Functions whose result differs from call to call without an argument saying so: random numbers, clocks, files."""

import builtins
import datetime
import os
import pathlib
import random
import secrets
import time
import uuid

import numpy as np

_GENERATORS = (np.random.RandomState, np.random.Generator, np.random.BitGenerator, random.Random)
_FRESH = (np.random.default_rng, *_GENERATORS, np.random.SeedSequence)  # where they are called without a seed
_CLOCKS = "time time_ns perf_counter perf_counter_ns monotonic monotonic_ns process_time process_time_ns localtime gmtime ctime"
_FILES = "open stat exists is_file is_dir iterdir glob read_text read_bytes"
_KINDS = {id(getattr(time, name)): "the time" for name in _CLOCKS.split()}
_KINDS |= {id(f): "a file or input" for f in (builtins.open, builtins.input, os.open, os.listdir, os.stat, os.getenv)}
_KINDS |= {id(f): "a random number" for f in (os.urandom, secrets.token_bytes, uuid.uuid4, uuid.uuid1)}
_CODES = {getattr(pathlib.Path, name).__code__: "a file or input" for name in _FILES.split()}
for _f in (np.load, np.loadtxt, np.genfromtxt):
    _code = getattr(getattr(_f, "__wrapped__", _f), "__code__", None)
    if _code is not None:
        _CODES[_code] = "a file or input"
_KINDS[id(np.fromfile)] = "a file or input"


def kind_of_function(f, bare_call):
    """What a function gives that is different at the next call, None if it is not known for that."""
    if id(f) in _KINDS:
        return _KINDS[id(f)]
    owner = getattr(f, "__self__", None)
    if isinstance(owner, _GENERATORS):
        return "a random number"
    if bare_call and any(f is x for x in _FRESH):
        return "a random number"
    if isinstance(owner, type) and issubclass(owner, datetime.date) and f.__name__ in ("now", "utcnow", "today"):
        return "the time"
    return None


def kind_of_code(code):
    """As ``kind_of_function``, of a function's code that begins to run."""
    return _CODES.get(code)


def is_generator(x) -> bool:
    """Whether an object gives random numbers."""
    return isinstance(x, _GENERATORS)
