"""A function and its data kept together on each worker, so that a call is one message to each of them and one back.

A task of Dask's is written down by its scheduler, from where it is made again if it is lost; that costs milliseconds for each.
Here a task puts what a worker needs in one place, and calls are messages to the workers alone. Nothing is lost with what they
keep: where one does not answer, the caller has the same work done by tasks.
"""

import asyncio
import itertools
import weakref
from pickle import dumps, loads

from tapejit.distributed import wires, worker

_here = weakref.WeakValueDictionary()  # on a worker: name -> Resident, as long as Dask keeps the result that it is


class Resident:
    """What stays on a worker: a ``worker.Function`` and the ``worker.Data`` of some parts."""

    def __init__(self, name, function, *data):
        self.name, self.function, self.data = name, function, data
        _here[name] = self

    def __reduce__(self):
        return Resident, (self.name, self.function, *self.data)

    def begin(self, args, dask_worker):
        """Futures of lists that are together the results of all parts; they run where tasks do, on each thread some."""
        threads = max(min(dask_worker.state.nthreads, len(self.data)), 1)
        ends = [len(self.data) * k // threads for k in range(threads + 1)]
        groups = [self.data[a:b] for a, b in itertools.pairwise(ends)]
        return [dask_worker.executors["default"].submit(self._results, args, group) for group in groups]

    def _results(self, args, group):
        return [worker.part(self.function, args, data) for data in group]


def _together(lists):
    """One list, or None if one of them is a failure: of that, tasks have more to tell."""
    return None if any(isinstance(x, BaseException) for x in lists) else [x for some in lists for x in some]


def _answered(dask_worker, name, message):
    """What a wire brings: the results of a resident, pickled."""
    resident = _here.get(name)
    if resident is None or message is None:
        return dumps(None) if message is not None else resident
    try:
        return dumps(_together([future.result() for future in resident.begin(loads(message), dask_worker)]), 5)
    except Exception:
        return dumps(None)


def _listens(dask_worker):
    return wires.served(dask_worker, _answered)


async def answer(names, args, dask_worker):
    """The results of all parts of those residents that are on this worker, by name; None for one whose function fails."""
    results = {}
    for resident in [_here[name] for name in names if name in _here]:
        parts = map(asyncio.wrap_future, resident.begin(args, dask_worker))
        results[resident.name] = _together(await asyncio.gather(*parts, return_exceptions=True))
    return results


class Residents:
    """The residents of a function of several parts, one for each worker that has some of them.

    Args:
        name: for Dask's keys.
        function: the future of a ``worker.Function``.
        parts: futures of ``worker.Data``.

    Attributes:
        wires: by name of a resident the connection with its worker; None if there cannot be one with each of them.
    """

    _numbers = itertools.count()

    def __init__(self, client, name, function, parts):
        self.client, self.count = client, len(parts)
        here = {place: [] for place in client.scheduler_info(n_workers=-1)["workers"]}
        found = client.who_has(parts)
        for k, part in enumerate(parts):
            holders = [place for place in found[part.key] if place in here] or list(here)
            here[min(holders, key=lambda place: len(here[place]))].append(k)
        name = f"{name}-resident-{next(self._numbers)}"
        self.numbers = {f"{name}-{place}": numbers for place, numbers in here.items() if numbers}
        near = [place for place, numbers in here.items() if numbers]
        self._kept = [  # where a worker is gone meanwhile, another one has its part
            client.submit(
                Resident, key, function, *(parts[k] for k in numbers),
                workers=[place], allow_other_workers=True, key=key, pure=False,
            )
            for place, (key, numbers) in zip(near, self.numbers.items(), strict=True)
        ]  # fmt: skip
        errors = [kept.exception() for kept in self._kept]
        if any(e is not None for e in errors):
            raise next(e for e in errors if e is not None)
        self.places = {name: holders[0] for name, holders in client.who_has(self._kept).items() if holders}
        self.wires = self._connected()

    def _connected(self):
        places = set(self.places.values())
        if any(not place.startswith("tcp://") for place in places):
            return None
        try:
            ports = self.client.run(_listens, workers=list(places))
            ends = {place: (place.removeprefix("tcp://").rpartition(":")[0].strip("[]"), port) for place, port in ports.items()}
            return {name: wires.Wire(*ends[place], name) for name, place in self.places.items()}
        except OSError:  # the scheduler reaches them, the caller does not
            return None

    def __call__(self, args):
        """The results of all parts in order; None where some did not come."""
        found = self._by_wire(args) if self.wires else self._by_scheduler(args)
        results = [None] * self.count
        for name, numbers in self.numbers.items():
            if found.get(name) is None:
                return None
            for k, x in zip(numbers, found[name], strict=True):
                results[k] = x
        return results

    def _by_wire(self, args):
        message = dumps(args, 5)
        for wire in self.wires.values():
            wire.ask(message)
        return {name: loads(wire.answer()) for name, wire in self.wires.items()}

    def _by_scheduler(self, args):
        found = {}
        places = sorted(set(self.places.values()))
        for results in self.client.run(answer, list(self.numbers), args, workers=places, on_error="return").values():
            found |= results if isinstance(results, dict) else {}
        return found
