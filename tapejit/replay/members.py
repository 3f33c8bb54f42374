"""The functions, properties and the like of a user's classes: another one in their place leads to a new recording."""

from tapejit.edge.codewords import version


def is_users(kind, libraries) -> bool:
    """Whether a class, or one that it derives from, is of no library."""
    return any(base.__module__.partition(".")[0] not in libraries for base in kind.__mro__)


class Members:
    """What a class and those that it derives from held when a function was recorded.

    Args:
        libraries: names of packages whose classes stay as they are.
    """

    def __init__(self, kind, libraries):
        self._kind, self._libraries = kind, libraries
        self.version = version(kind)
        self._held = self._members()

    def _members(self):
        kinds = [base for base in self._kind.__mro__ if base.__module__.partition(".")[0] not in self._libraries]
        found = [(base, name, x) for base in kinds for name, x in list(vars(base).items())]
        return [(base, name, x) for base, name, x in found if callable(x) or hasattr(x, "__get__")]

    def functions(self):
        """The functions among them, those inside of properties and the like too."""
        for _, _, x in self._held:
            for part in (x, *(getattr(x, name, None) for name in ("__func__", "fget", "fset", "__wrapped__", "func"))):
                if hasattr(part, "__code__"):
                    yield part

    def hold(self) -> bool:
        """Whether they are what they were; other attributes of the class may have changed."""
        now = self._members()
        return len(now) == len(self._held) and all(
            a is d and b == e and c is f for (a, b, c), (d, e, f) in zip(now, self._held, strict=True)
        )

    def moved(self) -> bool:
        """Whether the class has another version than when this was last asked."""
        before, self.version = self.version, version(self._kind)
        return self.version != before or not before
