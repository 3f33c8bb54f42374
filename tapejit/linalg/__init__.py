"""Linear algebra: ``tapejit.linalg`` has the names of ``torch.linalg``, batched, in float64 and float32.

LAPACK does the work, through SciPy; factors that a derivative needs are kept, not worked out again. See docs/linalg.md.
"""

from tapejit.eager.linalg import *  # noqa: F403
