"""A function and its data kept together on each worker, so that a call is one message to each of them and one back.

A task of Dask's is written down by its scheduler, from where it is made again if it is lost; that costs milliseconds for each.
Here a task puts what a worker needs in one place, and calls are messages to the workers alone. Nothing is lost with what they
keep: where one does not answer, the caller has the same work done by tasks.
"""

import asyncio
import itertools
import weakref
from pickle import dumps

from tapejit.distributed import worker

PATIENCE = 2.0  # seconds for a worker's first answer
_here = weakref.WeakValueDictionary()  # on a worker: name -> Resident, as long as Dask keeps the result that it is


class Resident:
    """What stays on a worker: a ``worker.Function`` and the ``worker.Data`` of some parts."""

    def __init__(self, name, function, *data):
        self.name, self.function, self.data = name, function, data
        _here[name] = self

    def __reduce__(self):
        return Resident, (self.name, self.function, *self.data)


async def answer(names, args, dask_worker):
    """The results of all parts of those residents that are on this worker, by name; None for one whose function fails.

    They run where tasks do: as many at once as the worker has threads. Of a failure, tasks have more to tell.
    """
    threads, loop = dask_worker.executors["default"], asyncio.get_running_loop()
    results = {}
    for resident in [_here[name] for name in names if name in _here]:
        parts = [loop.run_in_executor(threads, worker.part, resident.function, args, data) for data in resident.data]
        found = await asyncio.gather(*parts, return_exceptions=True)
        results[resident.name] = None if any(isinstance(x, BaseException) for x in found) else found
    return results


async def _reachable(client, places):
    """Whether the caller can speak to all workers itself, not by way of the scheduler only."""
    asked = (asyncio.wait_for(client.rpc(place).identity(), PATIENCE) for place in places)
    return not any(isinstance(x, BaseException) for x in await asyncio.gather(*asked, return_exceptions=True))


async def _asked(client, places, names, args):
    """What ``answer`` gives on each worker; the way ``Client.run`` takes by the scheduler costs more than the message."""
    message = {"function": dumps(answer), "args": dumps((names, args)), "kwargs": dumps({})}

    async def asked(place):
        return (await client.rpc(place).run(**message, wait=True)).get("result")

    return await asyncio.gather(*map(asked, places), return_exceptions=True)


class Residents:
    """The residents of a function of several parts, one for each worker that has some of them.

    Args:
        name: for Dask's keys.
        function: the future of a ``worker.Function``.
        parts: futures of ``worker.Data``.
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
        self.places = sorted({holders[0] for holders in client.who_has(self._kept).values() if holders})
        self.direct = client.sync(_reachable, client, self.places)

    def __call__(self, args):
        """The results of all parts in order; None where some did not come."""
        names = list(self.numbers)
        if self.direct:
            answers = self.client.sync(_asked, self.client, self.places, names, args)
        else:
            answers = self.client.run(answer, names, args, workers=self.places, on_error="return").values()
        found = {}
        for results in answers:
            found |= results if isinstance(results, dict) else {}
        results = [None] * self.count
        for name, numbers in self.numbers.items():
            if found.get(name) is None:
                return None
            for k, x in zip(numbers, found[name], strict=True):
                results[k] = x
        return results
