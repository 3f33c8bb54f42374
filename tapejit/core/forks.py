"""What a fork changes: the child has one thread, so locks that others held are nobody's, and that thread may be a new one."""

import os
import weakref

_locks = weakref.WeakKeyDictionary()  # owner -> (name of the attribute, what makes the lock)


def renewed(owner, name: str, make):
    """Give an object a lock under ``name``, a new one in every child process."""
    _locks[owner] = name, make
    setattr(owner, name, make())


def _renew():
    for owner, (name, make) in list(_locks.items()):
        setattr(owner, name, make())


def register(before, in_parent, in_child):
    """Call these around every fork, where there is one; ``in_child`` after the locks are new."""
    if hasattr(os, "register_at_fork"):
        calls = {"before": before, "after_in_parent": in_parent, "after_in_child": in_child}
        os.register_at_fork(**{name: call for name, call in calls.items() if call is not None})


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
