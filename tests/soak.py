"""Mixed work for as long as asked: ``python tests/soak.py 1800``. Every number is checked, memory must stay flat.

Threads, exceptions, interrupts, dropped functions, replay and nopython, all at once. Not collected by pytest.
"""

import gc
import resource
import signal
import sys
import threading
import time

import numpy as np

import tapejit as tj

WARM = 0.25  # of the time, after which memory may not grow by more than GROWTH
GROWTH = 64 << 20


class Stop(BaseException):
    pass


@tj.nopython.value_and_grad
def native(x):
    s = 0.0
    for i in range(len(x)):
        s += x[i] * x[i]
    return s


replayed = tj.value_and_grad(lambda x: (x * x).sum())


def eager(k):
    x = tj.tensor([float(k), 1.0], requires_grad=True)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0 * k, 2.0]


def failing(k):
    try:
        tj.ones(2) @ tj.ones(3 + k % 4)
    except RuntimeError:
        return
    raise AssertionError("no error")


def compiled(k):
    a = np.array([float(k), 2.0])
    for f in (replayed, native):
        value, gradient = f(a)
        assert (value, gradient.tolist()) == (k * k + 4.0, [2.0 * k, 4.0])


def dropped(k):
    f = tj.grad(lambda x: (x * float(k % 7)).sum())
    assert f(np.ones(3)).tolist() == [float(k % 7)] * 3


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def work(stop, failures):
    k = 0
    while not stop.is_set() and not failures:
        k += 1
        try:
            for part in (eager, failing, compiled, *([dropped] if k % 50 == 0 else [])):
                part(k % 1000)
        except BaseException as e:
            failures.append(repr(e))


def interrupted(k):
    """Eager work of the main thread, stopped at a random time."""
    kept = [(i, tj.tensor(float(i))) for i in range(200)]
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4 + (k * 0.618 % 1) * 5e-3)
        end = time.monotonic() + 0.5  # an interrupt that comes in a callback of a weak reference is swallowed
        while time.monotonic() < end:
            eager(k % 1000)
    except Stop:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    wrong = [(i, t.item()) for i, t in kept if t.item() != i]
    assert not wrong, f"after interrupt {k}: {wrong}"


def main(seconds):
    def stop_here(*_):
        raise Stop

    for part in (eager, failing, compiled, dropped):  # compiles; llvmlite's callbacks swallow what a handler raises
        part(3)
        part(4)
    signal.signal(signal.SIGALRM, stop_here)
    stop, failures = threading.Event(), []
    threads = [threading.Thread(target=work, args=(stop, failures)) for _ in range(3)]
    for t in threads:
        t.start()
    begin, k, warm = time.monotonic(), 0, None
    try:
        while time.monotonic() - begin < seconds and not failures:
            k += 1
            interrupted(k)
            if warm is None and time.monotonic() - begin > WARM * seconds:
                gc.collect()
                warm = resident()
    except AssertionError as e:
        failures.append(repr(e))
    finally:
        stop.set()
        for t in threads:
            t.join()
    gc.collect()
    growth = resident() - warm if warm else 0
    print(f"{k} interrupts in {seconds:.0f} s, {growth / 2**20:+.1f} MB since warm, failures: {failures or 'none'}")
    return bool(failures) or growth > GROWTH


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
