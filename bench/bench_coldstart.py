"""The waits of a first use: import, and the first gradient with and without compiled kernels on disk.

    python bench/bench_coldstart.py

Each figure comes from a fresh process (median of several where that is cheap). The import is measured beyond that of
numba, numpy and scipy, which the user pays anyway; the first gradient is that of a function of twenty different ops.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

IMPORT = """
import time
import numba, numpy, scipy
start = time.perf_counter()
import tapejit
print(time.perf_counter() - start)
"""

# The process prints the seconds from the import to the gradient, and the gradient's sum to compare.
GRADIENT = """
import time
import tapejit as tj
start = time.perf_counter()
x = tj.linspace(0.1, 0.9, 10).requires_grad_()
m = tj.ones(10, 10) / 10
y = tj.sin(x) * tj.exp(-x) + tj.tanh(x) / (1 + x**2)
y = tj.log1p(y.abs()) - tj.sqrt(x) * tj.cos(x)
y = tj.sigmoid(m @ y) + tj.relu(y - 0.1) + tj.maximum(x, y)
y = tj.cat((y[:5], y[5:])).reshape(2, 5)
loss = (y.softmax(1) * y).sum(0).mean() + tj.erf(y).max() + y.logsumexp(1).sum()
loss.backward()
print(time.perf_counter() - start, float(x.grad.sum()))
"""


def run(code, cache):
    """The numbers that a fresh process prints."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as cache:
        first, cold = run(GRADIENT, cache)
        warm = [run(GRADIENT, cache) for _ in range(rounds)]
        imports = [run(IMPORT, cache)[0] for _ in range(rounds)]
    assert all(abs(value - cold) < 1e-12 for _, value in warm), "the cached kernels compute something else"
    print("| wait | seconds | wanted |\n|---|---|---|")
    print(f"| import tapejit, beyond numba, numpy and scipy | {statistics.median(imports):.3f} | 0.15 |")
    print(f"| first gradient of a 20-op function, nothing compiled yet | {first:.2f} | 10 |")
    print(f"| the same in a second process | {statistics.median(t for t, _ in warm):.3f} | 0.5 |")


if __name__ == "__main__":
    main()
