"""Ctrl-C while many problems are solved."""

import os
import signal


class Pressing:
    """A bar that presses Ctrl-C when the first problems are done."""

    n = 0

    def update(self, count):
        self.n += count
        os.kill(os.getpid(), signal.SIGINT)

    def close(self):
        pass
