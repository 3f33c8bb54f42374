"""``torch.distributions.transforms`` as a module, so that it can be imported as one."""

from tapejit.distributions import bijections, factorings, rearranging
from tapejit.distributions.bijections import *  # noqa: F403 - the same names
from tapejit.distributions.factorings import *  # noqa: F403
from tapejit.distributions.rearranging import *  # noqa: F403

__all__ = [*bijections.__all__, *factorings.__all__, *rearranging.__all__]
