"""``python -m tapejit warm`` and the console script ``tapejit``."""

import argparse
import sys

from tapejit.ahead import warm


def main(arguments=None) -> int:
    """Run a command; the exit status."""
    parser = argparse.ArgumentParser(prog="tapejit", description="Automatic differentiation on a Numba-compiled tape.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "warm", help="compile ahead", description="Compile ahead what first gradients would compile, and keep it on disk."
    )
    command.add_argument("--float32", action="store_true", help="also the kernels of float32")
    command.add_argument("--quiet", action="store_true", help="no progress on the terminal")
    options = parser.parse_args(arguments)
    dtypes = ("float64", "float32") if options.float32 else ("float64",)
    warm(dtypes=dtypes, progress=None if options.quiet else show)
    return 0


def show(done, total, name):
    """Progress on one line of the terminal, a line for each tenth elsewhere."""
    if sys.stderr.isatty():
        bar = "#" * (30 * done // total)
        end = "\n" if done == total else ""
        print(f"\rcompiling [{bar:<30}] {done}/{total} {name:<32.32}", end=end, file=sys.stderr, flush=True)
    elif done == total or done * 10 // total != (done - 1) * 10 // total:
        print(f"compiling: {done} of {total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
