"""How threads share a job in native code: who does which part, how they wait, how the caller learns that all is done.

A job is a function ``part(frame, number)`` and how many parts it has. Any thread of the team may do any part, so a caller
whose helpers are late, or busy for another caller, does them all; what is worked out depends on the parts alone, never on the
threads.

The words of a team stand in lines of eight, so that no two of them that different threads write share a line of a cache.
"""

from tapejit.edge.atomics import acquire, add, exchange, read, release, replace
from tapejit.edge.jit import inner
from tapejit.edge.raw import as_i64, call2

# Threads that take part, the caller's included; the addresses of ``share``, of the functions of ``core.rows``, and of
# ``core.sums``'s, which is there whether or not there are threads.
COUNT, SHARE, FORWARD, REVERSE, SUMS = range(5)
TAKEN = 8  # 1 while a caller has the team
LEFT = 16  # a number of the job, times 2**16, plus its parts that nobody has taken
FUNCTION, FRAME, PARTS, WANTED = 24, 25, 26, 27  # of the job; how many threads it is for
FINISHED, JOBS = 28, 29  # the lock its caller waits for; jobs so far
DONE = 32
HELPERS = 40  # then a line for each helper: whether it sleeps, and the lock it waits for
LINE = 8
MOST_PARTS = 1 << 16
MANY = MOST_PARTS - 1
SPINS = 2000  # looks at a word before its thread sleeps: some microseconds


def words(count) -> int:
    """The number of words of a team with so many threads."""
    return HELPERS + LINE * count


@inner
def _work(team):
    """Do parts as long as there are any. Whether the last one of the job to be done was among them."""
    t = as_i64(team)
    last = False
    while True:
        left = read(team + 8 * LEFT)
        if left & MANY == 0:
            return last
        if replace(team + 8 * LEFT, left, left - 1):  # nobody changes the job while a part of it is not done
            parts = t[PARTS]
            call2(t[FUNCTION], t[FRAME], parts - (left & MANY))
            last = add(team + 8 * DONE, 1) + 1 == parts


def share(team, function, frame, parts):
    """Have all parts done, by this thread and by those of the team that are free."""
    share_among(team, function, frame, parts, as_i64(team)[COUNT])


@inner
def share_among(team, function, frame, parts, count):
    """The same by ``count`` threads at most; alone where another job, of which this may be a part, has the team."""
    t = as_i64(team)
    if not replace(team + 8 * TAKEN, 0, 1):
        for k in range(parts):
            call2(function, frame, k)
        return
    t[FUNCTION], t[FRAME], t[PARTS], t[WANTED], t[DONE] = function, frame, parts, count, 0
    t[JOBS] += 1
    exchange(team + 8 * LEFT, t[JOBS] * MOST_PARTS + parts)
    for k in range(min(count, parts) - 1):
        asleep = team + 8 * (HELPERS + LINE * k)
        if exchange(asleep, 0):
            release(as_i64(asleep)[1])
    if not _work(team):
        for _ in range(SPINS):
            if read(team + 8 * DONE) == parts:
                break
        acquire(t[FINISHED])
    exchange(team + 8 * TAKEN, 0)


def help(team, k):
    """What helper ``k`` does for the rest of the process."""
    t = as_i64(team)
    asleep = team + 8 * (HELPERS + LINE * k)
    lock = as_i64(asleep)[1]
    while True:
        for _ in range(SPINS):
            if read(team + 8 * LEFT) & MANY != 0:
                break
        exchange(asleep, 1)
        if read(team + 8 * LEFT) & MANY == 0 or k + 1 >= read(team + 8 * WANTED) or not replace(asleep, 1, 0):
            acquire(lock)
        if _work(team):
            release(t[FINISHED])


def share_calls(team, function, frame, parts, count):
    """``share_among`` for Python."""
    share_among(team, function, frame, parts, count)
