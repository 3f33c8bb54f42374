"""The command line of the benchmarks.

    python -m bench list                 workloads and who takes part
    python -m bench run lorenz mlp       measure the workloads whose name or group contains a word; print, keep nothing
    python -m bench report               measure everything, keep it in docs/bench.json, write tables and picture
    python -m bench report lorenz        the same for some workloads; the others stay as they were measured
                                         (the words scaling and coldstart select those parts)
    python -m bench report --quick       a smoke run of a minute or two
    python -m bench write                tables and picture again, from docs/bench.json
"""

import argparse
import importlib
import sys
import time

EXTRA = ("coldstart", "scaling")  # parts that are no workloads


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("list", "run", "report", "write"))
    parser.add_argument("words", nargs="*")
    parser.add_argument("--seconds", type=float, default=0.25, help="seconds of measuring for each library of a workload")
    parser.add_argument("--quick", action="store_true", help="few rounds, no slow case, no first calls, nothing kept")
    options = parser.parse_intermixed_args(arguments)  # words may follow options
    return {"list": show, "run": run, "report": report, "write": lambda _: write()}[options.what](options)


def show(options):
    from bench.harness import select

    for work in select(options.words):
        print(f"{work.name} [{work.group}]")
        for library in work.libraries.values():
            print(f"    {library.name:16} {library.missing() or library.form}")


def measured(options):
    """``(name, row)`` of the selected workloads, one after the other."""
    from bench.collect import measure_workload
    from bench.harness import select

    seconds = min(options.seconds, 0.02) if options.quick else options.seconds
    for work in select(options.words):
        start = time.perf_counter()
        row = measure_workload(work, seconds, options.quick)
        print(f"{work.name} ({time.perf_counter() - start:.0f} s)", file=sys.stderr, flush=True)
        yield work.name, row


def run(options):
    """Print; the exit code says whether a result was wrong or tapejit failed."""
    from bench.report import ours, plain

    broken = []
    for name, row in measured(options):
        print(plain(name, row), flush=True)
        broken += [f"{name}: {n}" for n, o in row["libraries"].items() if "wrong" in o or ("failed" in o and ours(n))]
    return f"wrong, or tapejit failed: {'; '.join(broken)}" if broken else 0


def report(options):
    from bench import collect
    from bench.harness import load

    if options.quick:
        return run(options)
    results = collect.read()
    extra = {name for name in EXTRA if not options.words or name in options.words}
    options.words = [word for word in options.words if word not in EXTRA]
    if options.words or len(extra) == len(EXTRA):
        for name, row in measured(options):
            results["workloads"][name] = row
            collect.reorder(results, load())
            collect.write(results)  # after each workload: an interrupted run keeps what it has
    for name in sorted(extra):
        results[name] = importlib.import_module(f"bench.{name}").collect()
        collect.write(results)
    return write()


def write():
    from bench.report import write_all

    for path in write_all():
        print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
