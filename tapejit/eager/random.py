"""Random tensors, from one generator seeded by ``manual_seed``, or one given. The numbers are NumPy's, not PyTorch's."""

import contextlib
import json

import numpy as np

from tapejit.core import dtypes
from tapejit.core import tape as tapes
from tapejit.core.layout import checked
from tapejit.core.refusals import ArgumentError
from tapejit.eager.creation import as_sizes, finish
from tapejit.eager.devices import check_device
from tapejit.eager.dispatch import from_array
from tapejit.eager.keywords import placed
from tapejit.eager.tensor import Tensor
from tapejit.eager.views import shape_argument


class Generator:
    """A source of random numbers of its own, for ``generator=``; seeded by chance until ``manual_seed``."""

    def __init__(self, device="cpu"):
        check_device(device)
        self.device = device
        self.seed()

    def manual_seed(self, seed: int):
        """Start anew, so that the same numbers come again; gives the generator."""
        self._seed = int(seed)
        self.numbers = np.random.default_rng(self._seed & (1 << 64) - 1)
        return self

    def seed(self) -> int:
        """Start anew by chance; gives the seed."""
        self.manual_seed(np.random.SeedSequence().entropy & (1 << 63) - 1)
        return self._seed

    def initial_seed(self) -> int:
        """The seed that it was last started with."""
        return self._seed

    def get_state(self) -> Tensor:
        """Where the generator is in its sequence, as a tensor of bytes."""
        words = json.dumps([self._seed, self.numbers.bit_generator.state])
        return from_array(np.frombuffer(words.encode(), dtype=np.uint8).copy())

    def set_state(self, new_state: Tensor):
        """Go to where ``get_state`` was asked; gives the generator.

        Raises:
            ValueError: for bytes that are no state.
        """
        try:
            seed, state = json.loads(bytes(new_state.numpy()))
            self.manual_seed(seed).numbers.bit_generator.state = state
        except (ValueError, TypeError, KeyError) as error:
            raise ArgumentError(f"set_state() takes what get_state() gave, got {new_state.numel()} numbers: {error}") from None
        return self


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the generator anew, so that the same numbers come again."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the generator anew by chance; gives the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the generator was last started with."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """Where the generator is in its sequence, as a tensor of bytes."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Let the generator go on from where ``get_rng_state`` was asked."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices=None, enabled=True):
    """Inside, random numbers are drawn as anywhere; afterwards the generator is where it was before."""
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def drawing(generator=None):
    """NumPy's generator to draw from.

    Raises:
        RuntimeError: inside a function that is being recorded: it would replay the same numbers for ever.
        TypeError: for a generator of another kind.
    """
    recorder = tapes.current().recorder
    if recorder is not None:
        recorder.no_random()
    if generator is None:
        return default_generator.numbers
    if isinstance(generator, np.random.Generator):
        return generator
    if not isinstance(generator, Generator):
        raise TypeError(f"generator= takes a tapejit.Generator or a NumPy one, got {type(generator).__name__}")
    return generator.numbers


@contextlib.contextmanager
def refused():
    """What NumPy's generator refuses with a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ArgumentError(f"random numbers: {error}") from None


def _make(array, dtype, requires_grad):
    dtype = dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)
    return finish(from_array(array, dtype), requires_grad)


@placed
def rand(*args, size=None, dtype=None, requires_grad=False, generator=None) -> Tensor:
    """Numbers drawn evenly from [0, 1)."""
    return _make(drawing(generator).random(checked(as_sizes(args, size), dtypes.float64)), dtype, requires_grad)


@placed
def randn(*args, size=None, dtype=None, requires_grad=False, generator=None) -> Tensor:
    """Numbers drawn from the standard normal distribution."""
    return _make(drawing(generator).standard_normal(checked(as_sizes(args, size), dtypes.float64)), dtype, requires_grad)


@placed
def randint(low=0, high=None, size=None, *, dtype=None, requires_grad=False, generator=None) -> Tensor:
    """Integers drawn evenly from [low, high); ``randint(high, size)`` starts at 0."""
    if isinstance(high, (tuple, list)):
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    dtype = dtypes.int64 if dtype is None else dtypes.as_dtype(dtype)
    if size is not None:
        size = checked(shape_argument((size,)), dtypes.int64)
    with refused():
        numbers = drawing(generator).integers(low, high, size)
    return finish(from_array(numbers, dtype), requires_grad)


@placed
def randperm(n: int, *, dtype=None, generator=None) -> Tensor:
    """The integers from 0 to n - 1 in random order."""
    dtype = dtypes.int64 if dtype is None else dtypes.as_dtype(dtype)
    return from_array(drawing(generator).permutation(*checked((int(n),), dtypes.int64)), dtype)


@placed
def rand_like(x: Tensor, *, dtype=None, requires_grad=False, generator=None) -> Tensor:
    """``rand`` with the shape and dtype of a tensor."""
    return rand(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad, generator=generator)


@placed
def randn_like(x: Tensor, *, dtype=None, requires_grad=False, generator=None) -> Tensor:
    """``randn`` with the shape and dtype of a tensor."""
    return randn(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad, generator=generator)


@placed
def randint_like(x: Tensor, low=0, high=None, *, dtype=None, requires_grad=False, generator=None) -> Tensor:
    """``randint`` with the shape and dtype of a tensor."""
    dtype = dtype or x.dtype
    return randint(low, high, x.shape, dtype=dtype, requires_grad=requires_grad, generator=generator)
