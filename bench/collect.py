"""Run the measurements, each in a fresh process, and keep their results in one JSON file."""

import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "bench.json"
TIMEOUT = 300  # seconds for one process
PACKAGES = ("tapejit", "numba", "numpy", "scipy", "torch", "jax", "casadi", "autograd", "ddx-ad", "heyoka", "xad")
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def environment(threads):
    """The environment of a measurement: a fixed number of threads for every library that reads one."""
    found = {**os.environ, **dict.fromkeys(THREADS, str(threads))}
    found["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    multi = "true" if threads > 1 else "false"
    found["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={multi} intra_op_parallelism_threads={threads}"
    return found


def spawn(threads, module, *arguments, extra=None):
    """The JSON that ``python -m module OUT *arguments`` writes, or ``{"failed": why}``."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, "-m", module, str(out), *map(str, arguments)]
        try:
            done = subprocess.run(
                command, env={**environment(threads), **(extra or {})}, cwd=folder, capture_output=True, text=True,
                timeout=TIMEOUT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"failed": f"no result after {TIMEOUT} s"}
        if done.returncode or not out.exists():
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            return {"failed": last[:200]}
        return json.loads(out.read_text())


def without_folders(text):
    """What is kept names no folder of the machine."""
    return re.sub(r"(?<![\w:/])/(?:[\w.+-]+/)+", "", text)


def measure_workload(work, seconds=0.5, quick=False):
    """Everything about a workload, as it is kept: steady times together, then each library's first call alone."""
    libraries = spawn(work.threads, "bench.worker", "steady", work.name, seconds, "quick" if quick else "full")
    if set(libraries) == {"failed"}:
        libraries = {name: dict(libraries) for name in work.libraries}
    for name, outcome in libraries.items():
        for kind in ("skipped", "wrong", "failed"):
            if kind in outcome:
                outcome[kind] = without_folders(outcome[kind])
        outcome["form"] = work.libraries[name].form
    if not quick:
        first_calls(work, libraries)
    return {
        "group": work.group,
        "threads": work.threads,
        "note": work.note,
        "target": work.target,
        "libraries": libraries,
    }


def first_calls(work, libraries):
    """Add first calls and memory to the outcomes: as many processes at a time as there are cores for them."""
    names = [n for n, o in libraries.items() if "seconds" in o and not work.libraries[n].slow]
    lanes = max(1, available_cores() // work.threads)

    def lane(number):
        for name in names[number::lanes]:
            libraries[name].update(spawn(work.threads, "bench.worker", "first", work.name, name, number * work.threads))

    with ThreadPoolExecutor(lanes) as pool:
        list(pool.map(lane, range(lanes)))


def available_cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def machine():
    model = platform.processor() or platform.machine()
    features = ""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        flags = next(line for line in lines if line.startswith("flags")).split()
        features = next((label for flag, label in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")
    except (OSError, StopIteration):
        pass
    return {
        "processor": model,
        "features": features,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if "tapejit" not in found:  # run from a checkout that is not installed
        import tomllib

        found = {"tapejit": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"], **found}
    return found


def read(path=RESULTS):
    return json.loads(path.read_text()) if path.exists() else {"workloads": {}}


def write(results, path=RESULTS):
    results["machine"], results["versions"] = machine(), versions()
    results["date"] = datetime.date.today().isoformat()
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def reorder(results, names):
    """The stored workloads in the order of their registration, without those that are no more."""
    results["workloads"] = {n: results["workloads"][n] for n in names if n in results["workloads"]}
