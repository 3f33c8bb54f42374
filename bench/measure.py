"""How it is measured: batches of calls that take turns, and what a first call costs in a process of its own."""

import gc
import importlib
import math
import os
import resource
import statistics
import time
from pathlib import Path

BATCH = 2e-3  # seconds that a batch lasts at least: thousands of times the clock's resolution
SLOW = 0.3  # seconds: a call that takes longer takes part in the first rounds only


def prepared(work, names=None, quick=False):
    """``(calls, outcomes)``: the calls that agree with the reference, and why every other library is not timed."""
    from bench.harness import Unavailable, disagreement, flat

    expected = None
    calls, outcomes = {}, {}
    for name, library in work.libraries.items():
        if names is not None and name not in names:
            continue
        reason = library.missing()
        if reason is None and quick and library.slow:
            reason = "slow, left out of a quick run"
        if reason is not None:
            outcomes[name] = {"skipped": reason}
            continue
        try:
            seconds, call, result = first_call(work, library)
            found = flat(result)
            if expected is None:
                expected = work.expected()
            wrong = disagreement(found, expected, work.tolerance)
        except Unavailable as problem:
            outcomes[name] = {"skipped": str(problem)}
        except Exception as problem:
            outcomes[name] = {"failed": f"{type(problem).__name__}: {problem}".split("\n")[0][:200]}
        else:
            if wrong:
                outcomes[name] = {"wrong": wrong}
            else:
                calls[name] = call
                if library.slow:  # its first call is not repeated in a process of its own
                    outcomes[name] = {"first": seconds}
    return calls, outcomes


def pin(threads, skip=0):
    """Keep this process on so many cores, the last but ``skip``: some libraries start more threads than they are told to."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0), reverse=True)
        os.sched_setaffinity(0, cores[skip : skip + threads] or cores[:threads])


def first_call(work, library):
    """``(seconds, call, result)`` of preparing and calling; what the library needs is imported before.

    A call that gives its result in a form of its own has an attribute ``dense``, a function that gives it in the usual one.
    """
    for module in library.needs:
        importlib.import_module(module)
    settle(library, work.threads)
    start = time.perf_counter()
    call = library.prepare()
    result = call()
    seconds = time.perf_counter() - start
    return seconds, call, call.dense() if hasattr(call, "dense") else result


def settle(library, threads):
    """Tell the libraries that have a switch how many threads they may use, and to compute in float64."""
    if "torch" in library.needs:
        import torch

        torch.set_num_threads(threads)
    if "jax" in library.needs:
        import jax

        jax.config.update("jax_enable_x64", True)
    if "heyoka" in library.needs:
        import heyoka

        heyoka.set_nthreads(threads)


def batch(call, count):
    """Wall and processor seconds of ``count`` calls."""
    cpu, start = time.process_time(), time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start, time.process_time() - cpu


def interleave(calls, seconds=0.5, least=5):
    """``{name: {"seconds", "low", "high", "rounds", "cores"}}``: medians and quartiles of a call, by rounds in turn.

    Every round times one batch of each call, after some untimed calls, and begins with another one each time, so that a
    slow moment of the machine falls on all of them: about ``seconds`` for each call, at least ``least`` rounds. A call of
    more than 0.3 s takes part in three rounds, one of more than a second in one. The calls have been called before.
    """
    plan = {name: planned(call) for name, call in calls.items()}
    batches = {name: [] for name in calls}
    order = list(calls)
    gc.collect()
    gc.freeze()  # what the other libraries hold is not for one library's collections to go through
    stop = time.perf_counter() + seconds * sum(most == math.inf for _, most in plan.values())
    done = 0
    while done < least or time.perf_counter() < stop:
        active = [name for name in order if done < plan[name][1]]
        if not active:
            break
        for name in active:
            count = plan[name][0]
            if count > 1:  # the others have had the caches meanwhile: in a user's loop they are warm
                batch(calls[name], count // 2)
            batches[name].append([spent / count for spent in batch(calls[name], count)])
        order.append(order.pop(0))
        done += 1
    gc.unfreeze()
    return {name: summary(found, least) for name, found in batches.items()}


def planned(call):
    """Calls in a batch, and the most rounds."""
    once = batch(call, 1)[0]
    if once > SLOW:
        once = batch(call, 1)[0]  # the first may have compiled something
    if once > SLOW:
        return 1, 3 if once < 1 else 1
    once = min(batch(call, 1)[0] for _ in range(3))
    return max(1, math.ceil(BATCH / once)), math.inf


def summary(batches, least):
    """Median and quartiles of the batches' wall seconds, and processor time by wall time.

    ``batches`` are pairs of wall and processor seconds of a call. Those in which the process was kept waiting, while the
    machine did something else, are left out if enough remain. ``cores`` is above the threads allowed where a library
    used more, and below one where too few batches were undisturbed.
    """
    clean = [b for b in batches if b[1] > 0.9 * b[0]]
    chosen = clean if len(clean) >= least else batches
    times = [wall for wall, _ in chosen]
    low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    return {
        "seconds": statistics.median(times),
        "low": low,
        "high": high,
        "rounds": len(times),
        "cores": round(sum(cpu for _, cpu in chosen) / sum(times), 2),
    }


def steady(work, seconds=0.5, quick=False):
    """All libraries of a workload in this process: ``{name: outcome}``, seconds per gradient."""
    calls, outcomes = prepared(work, quick=quick)
    for name, found in interleave(calls, seconds, 3 if quick else 5).items():
        scaled = {k: v / work.per if k in ("seconds", "low", "high") else v for k, v in found.items()}
        outcomes.setdefault(name, {}).update(scaled)
    return {name: outcomes[name] for name in work.libraries if name in outcomes}


def first(work, library):
    """The first call in this process: seconds to prepare and call, and by how many bytes the memory's peak rose.

    The peak is that of the resident memory, over the preparation, the first call and, where that is quick, three more.
    """
    for module in library.needs:
        importlib.import_module(module)
    gc.collect()
    before = reset_peak()
    seconds, call, _ = first_call(work, library)
    for _ in range(3 if seconds < 1 else 0):
        call()
    return {"first": seconds, "memory": max(peak() - before, 0)}


def reset_peak():
    """Forget the peak of the resident memory; the bytes resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # not Linux: the peak of the whole process so far is what can be had
        return peak()
    return resident("VmRSS")


def peak():
    try:
        return resident("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident(what):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise OSError(f"{what} is not in /proc/self/status")
