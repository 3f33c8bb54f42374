"""The graph of a call, made where the caller is: parts on the workers, their results added two by two, there or here.

Once results are known to be small, calls go to the workers themselves (see ``residents``), and by the graph if one is gone.
"""

import itertools
import uuid
import warnings

from tapejit.distributed import worker
from tapejit.distributed.residents import Residents

SMALL = 1 << 20  # bytes of all results of a call, up to which the caller fetches and adds them


def sum_over(fun, parts, *, client=None):
    """A function that gives ``fun(*args, *part)`` summed over all parts of the data.

    Results are added in pairs, neighbours first, in the order of the parts: no digit depends on the number of workers, nor on
    one that died.

    Args:
        fun: any function that can be pickled, as ``tj.value_and_grad(loss)``; its results are numbers, arrays, and tuples,
            lists and dicts of them.
        parts: for each part the arguments that follow ``args``, a tuple, or one object that is no tuple; or a function without
            arguments that gives these, which then runs on the worker (to read a file, say). Arrays stay with Dask's scheduler,
            too, from where a lost part is made again.
        client: a ``distributed.Client``, by default the one made last.

    Returns:
        a function of ``args``, by position.

    Raises:
        ImportError: without Dask.
        ValueError: without parts, and for results of different shapes.
        TypeError: for a function that cannot be sent, and for results that cannot be added.
    """
    return _Sum(fun, parts, client)


def ensemble(fun, *shared, client=None):
    """A function that gives the list of ``fun(member, *shared)`` for the members of an ensemble.

    Args:
        fun: any function that can be pickled.
        shared: arguments that are the same for all members, which go to each worker once.
        client: as for ``sum_over``.

    Returns:
        a function of a sequence of members, each an array or a tree; results in their order.

    Raises:
        ImportError: without Dask.
        TypeError: for a function that cannot be sent.
    """
    return _Ensemble(fun, shared, client)


def _client(client):
    try:
        import distributed
    except ImportError as why:
        raise ImportError("tapejit.distributed needs Dask: pip install 'tapejit[dask]'") from why
    if client is not None:
        return client
    try:
        return distributed.default_client()
    except ValueError:
        raise ValueError("tapejit.distributed: there is no cluster yet; start one with distributed.Client()") from None


def _pickled(fun):
    """A function as it is sent: by its name if workers can import it, else with its code.

    Raises:
        TypeError: for what has a name that only this process knows, or cannot be pickled.
    """
    import cloudpickle

    if not callable(fun):
        raise TypeError(f"tapejit.distributed takes a function, got {type(fun).__name__}")
    if getattr(fun, "__module__", "") == "__main__" and hasattr(fun, "wait") and fun.__reduce__().__class__ is str:
        raise TypeError(
            f"{fun.__name__} is decorated in the script or notebook that runs, which workers cannot import: leave the function "
            f"plain and pass tj.{fun.transform}({fun.__name__}), or put it into a module"
        )
    try:
        return cloudpickle.dumps(fun)
    except Exception as why:
        raise TypeError(f"tapejit.distributed: the function cannot be sent to workers: {why}") from why


class _Tasks:
    """A function on the workers of a cluster."""

    def __init__(self, fun, client):
        self.client = _client(client)
        self._name = f"tapejit-{uuid.uuid4().hex}"
        self._count = itertools.count()
        self.function = self.submit("function", worker.Function, _pickled(fun))

    def submit(self, name, function, *args, **options):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)  # data is what we send
            return self.client.submit(function, *args, key=f"{self._name}-{name}", pure=False, **options)

    def of_each(self, name, *arguments):
        """The function of each of several arguments, in one message to the scheduler."""
        count = len(arguments[0])
        keys = [f"{self._name}-{next(self._count)}-{name}-{k}" for k in range(count)]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self.client.map(worker.part, [self.function] * count, *arguments, key=keys, pure=False)


class _Sum(_Tasks):
    def __init__(self, fun, parts, client):
        parts = list(parts)
        if not parts:
            raise ValueError("sum_over() needs at least one part")
        super().__init__(fun, client)
        self._bytes = None  # of a result, once one is known
        self._residents = None
        places = sorted(self.client.scheduler_info(n_workers=-1)["workers"])
        self.parts = []
        for k, data in enumerate(parts):
            near = {"workers": [places[k % len(places)]], "allow_other_workers": True} if places else {}
            self.parts.append(self.submit(f"data-{k}", worker.Data, data, **near))

    def __call__(self, *args):
        small = self._bytes is not None and self._bytes * len(self.parts) <= SMALL
        results = self._by_residents(args) if small else None
        if results is not None:
            return _in_pairs(worker.added, results)
        parts = self.of_each("part", [args] * len(self.parts), self.parts)
        if small:
            return _in_pairs(worker.added, self.client.gather(parts))
        found = _in_pairs(lambda a, b: self.submit(f"sum-{next(self._count)}", worker.added, a, b), parts).result()
        self._bytes = worker.nbytes(found)
        return found

    def _by_residents(self, args):
        """The results of all parts without the scheduler, None where some worker does not answer, or the function fails."""
        residents, self._residents = self._residents, None  # the next call makes new ones, should this one fail
        try:
            if residents is None:
                residents = Residents(self.client, self._name, self.function, self.parts)
            results = residents(args)
        except Exception:  # of Dask's: a worker is gone, or going
            return None
        if results is not None:
            self._residents = residents
        return results


def _in_pairs(add, row):
    """The sum of a row, always in this order: neighbours first."""
    while len(row) > 1:
        pairs = [row[k : k + 2] for k in range(0, len(row), 2)]
        row = [add(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return row[0]


class _Ensemble(_Tasks):
    def __init__(self, fun, shared, client):
        super().__init__(fun, client)
        self.shared = self.submit("shared", worker.Data, tuple(shared))

    def __call__(self, members):
        members = [(x,) for x in members]
        return self.client.gather(self.of_each("member", members, [self.shared] * len(members))) if members else []
