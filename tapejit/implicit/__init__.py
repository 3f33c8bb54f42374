"""Solutions of equations as functions of what stands in the equations, with derivatives by the implicit function theorem.

    x = tj.implicit.root(lambda x, a: x**3 + a * x - 1, tj.ones(1), a)     # dx/da without the iterations

The iterations leave nothing on the tape: memory and time of a derivative do not depend on how many there were. ``odeint``
integrates a differential equation; its derivatives are those of the steps it took.
"""

from tapejit.implicit.integrals import odeint
from tapejit.implicit.solutions import fixed_point, linear_solve, minimize, root

__all__ = ["fixed_point", "linear_solve", "minimize", "odeint", "root"]
