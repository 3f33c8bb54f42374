"""``scipy.special``'s names, as far as ``tapejit.special`` has them."""

from tapejit import special as _own
from tapejit.special import *  # noqa: F403 - the same names

__all__ = _own.__all__
