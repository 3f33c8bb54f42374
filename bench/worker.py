"""One measurement in a process of its own: ``python -m bench.worker OUT steady|first ...``, the result as JSON in OUT."""

import json
import sys
import warnings
from pathlib import Path


def main(out, what, *arguments):
    from bench import measure
    from bench.harness import load

    warnings.simplefilter("ignore")
    work = load()[arguments[0]]
    measure.pin(work.threads, int(arguments[2]) if what == "first" else 0)
    if what == "steady":
        result = measure.steady(work, float(arguments[1]), arguments[2] == "quick")
    else:
        result = measure.first(work, work.libraries[arguments[1]])
    Path(out).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
