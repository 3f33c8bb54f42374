"""``numpy.random`` as it is: its results are arrays, which are constants."""

from numpy.random import *  # noqa: F403
from numpy.random import BitGenerator, Generator, RandomState, SeedSequence, default_rng

__all__ = ["BitGenerator", "Generator", "RandomState", "SeedSequence", "default_rng"]
