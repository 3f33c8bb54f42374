"""``torch.distributions.transforms`` as a module, so that it can be imported as one."""

from tapejit.distributions.bijections import *  # noqa: F403 - the same names
from tapejit.distributions.bijections import __all__ as __all__
