"""The public tests of the Array API standard: ``python -m bench.arrayapi CHECKOUT [--examples 2] [--write]``.

CHECKOUT is a clone of https://github.com/data-apis/array-api-tests with its submodule. What is expected to fail is in
bench/array_api_xfails.txt, in the form of its ``--xfails-file``: the names of tests, each group under its reason. The run ends
with 0 if nothing else failed. ``--write`` runs without the list and writes it, with the reasons in ``REASONS``.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

LIST = pathlib.Path(__file__).with_name("array_api_xfails.txt")
VERSION = "2023.12"
REASONS = {  # what a test's name contains -> why it fails
    r"test_special_cases\.py::test_unary\[signbit": "the sign of a NaN is not kept: signbit knows that of numbers and zeros",
    r"test_special_cases\.py::test_unary\[.*imag\(x_i\)": (
        "complex numbers with infinite or NaN parts: both follow from formulas in real numbers, whose limits are not C's"
    ),
}


def reason_of(test: str) -> str | None:
    """Why a test is expected to fail, None if no reason is known."""
    return next((reason for pattern, reason in REASONS.items() if re.search(pattern, test)), None)


def expected() -> dict:
    """The names in the list -> the reason above them."""
    found, reason = {}, ""
    for line in LIST.read_text().splitlines():
        if line.startswith("#"):
            reason = line.removeprefix("#").strip()
        elif line.strip():
            found[line] = reason
    return found


def written(tests) -> str:
    """The list as text: the tests by their reasons.

    Raises:
        SystemExit: for one without a reason.
    """
    groups = {}
    for test in sorted(tests):
        groups.setdefault(reason_of(test), []).append(test)
    if None in groups:
        raise SystemExit("no reason is known for\n  " + "\n  ".join(groups[None]))
    return "\n".join(f"# {reason}\n" + "\n".join(names) + "\n" for reason, names in sorted(groups.items()))


def run(checkout: str, examples: int, listed: bool) -> tuple:
    """(pytest's exit code, the names of the tests that failed)"""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "--tb=short", f"--junit-xml={report}"]
        command += ["--max-examples", str(examples), "--hypothesis-disable-deadline", "-p", "no:cacheprovider"]
        command += ["--xfails-file", str(LIST)] if listed else []
        where = {"ARRAY_API_TESTS_MODULE": "tapejit.array_api", "ARRAY_API_TESTS_VERSION": VERSION}
        path = os.pathsep.join(filter(None, (str(LIST.parents[1]), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(command, cwd=checkout, env={**os.environ, **where, "PYTHONPATH": path}, check=False)
        return done.returncode, list(_failed(report))


def _failed(report):
    """The names, as pytest writes them, of the tests with a failure in a report."""
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            package, module, *classes = case.get("classname").split(".")
            yield "::".join((f"{package}/{module}.py", *classes, case.get("name")))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout")
    parser.add_argument("--examples", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    code, failed = run(options.checkout, options.examples, not options.write)
    if options.write:
        LIST.write_text(written(failed))
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
