"""``numpy.linalg``'s names for tensors."""

from numpy.linalg import LinAlgError

from tapejit.eager.numpyspace import names as _names

globals().update(_names("linalg."))
__all__ = ["LinAlgError", *_names("linalg.")]
