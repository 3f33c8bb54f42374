"""Runs of SciPy's loops: the best point so far, progress, and why a run ended."""

import numpy as np
from scipy.optimize import OptimizeResult

INTERRUPTED = 130  # the status of a run that Ctrl-C ended, as a shell gives it


class Run:
    """One run of an optimiser: notes the best point, shows progress if asked, turns Ctrl-C into a result.

    Args:
        progress: show a bar (needs tqdm).
        what: the optimiser's name, for the bar.
    """

    def __init__(self, what: str, progress: bool):
        self.best_value, self.best = np.inf, None
        self.calls = 0
        self._bar = bar(what, " evaluations") if progress else None

    def note(self, vector, value) -> None:
        """A point and the function there."""
        self.calls += 1
        if value < self.best_value:
            self.best_value, self.best = value, np.array(vector)
        if self._bar is not None:
            self._bar.update()
            self._bar.set_postfix_str(f"best {self.best_value:.6g}", refresh=False)

    def result(self, minimise) -> OptimizeResult:
        """What ``minimise()`` gives; after Ctrl-C the best point so far, if there is one."""
        try:
            result = minimise()
        except KeyboardInterrupt:
            if self.best is None:
                raise
            return OptimizeResult(
                x=self.best, fun=self.best_value, success=False, status=INTERRUPTED, nfev=self.calls,
                message=f"interrupted after {self.calls} evaluations: this is the best point so far",
            )  # fmt: skip
        finally:
            if self._bar is not None:
                self._bar.close()
        if not np.isfinite(result.fun).all():
            result.success = False
            result.message = f"the function is {result.fun} at the last point; SciPy says: {result.message}"
        return result


def bar(what: str, unit: str, total=None):
    """A progress bar.

    Raises:
        ImportError: if tqdm is not installed.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError("progress=True needs tqdm: pip install tqdm") from None
    return tqdm(desc=what, unit=unit, total=total, leave=False)
