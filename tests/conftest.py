"""A rotating share of the slow tests: ``pytest -m "" --slow-share 30`` runs all fast tests and a thirtieth of the slow ones.

Which ones is decided by the date, so that in as many days all of them have run; ``TAPEJIT_TEST_DAY`` sets the day's number.
``--check-heap`` walks the lists of free memory after every test: what writes where it may not is found near the test that did.
"""

import datetime
import os

import pytest


def pytest_addoption(parser):
    parser.addoption("--slow-share", type=int, metavar="N", help="of the slow tests, run every Nth, others every day")
    parser.addoption("--check-heap", action="store_true", help="after every test, walk the lists of free memory")


def pytest_configure(config):
    # Decided once, so that parallel workers agree although midnight passes.
    os.environ.setdefault("TAPEJIT_TEST_DAY", str(datetime.date.today().toordinal()))
    os.environ.setdefault("TAPEJIT_VERIFY", "1")  # every graph is checked after every pass


def pytest_report_header(config):
    share = config.getoption("slow_share")
    return f"slow tests: day {os.environ['TAPEJIT_TEST_DAY']}, one of {share}" if share else None


def pytest_collection_modifyitems(config, items):
    share = config.getoption("slow_share")
    if not share:
        return
    day = int(os.environ["TAPEJIT_TEST_DAY"])
    slow = [item for item in items if item.get_closest_marker("slow")]
    left_out = {item for k, item in enumerate(slow) if (k + day) % share}
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def pytest_runtest_teardown(item):
    if item.config.getoption("check_heap"):
        from heaps import check_free_lists

        try:
            check_free_lists()
        except AssertionError as fault:
            pytest.exit(f"after {item.nodeid}: {fault}", returncode=77)


@pytest.fixture
def planned_anew(monkeypatch):
    """For tests that change how programs are planned or written: none is known from before, and none is kept."""
    from tapejit.compile import kept

    monkeypatch.setattr(kept, "read", lambda structure: None)
    monkeypatch.setattr(kept, "write", lambda *parts: None)
