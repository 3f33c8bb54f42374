"""The Hurwitz zeta function: the sum of (q + k) ** -s over k = 0, 1, 2, ... for s > 1.

Euler and Maclaurin's formula after ten terms, with the coefficients (2 k)! / B(2 k) as in Cephes' zeta.c (Moshier). Where q is
negative there are more terms before those: a function of numbers counts them.
"""

from tapejit.edge import scipycalls

from .emit import select
from .power import pow
from .rare import lane_by_lane, outlined, when_any

_TERMS = 10
_COEFFICIENTS = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1.8924375803183791606e9, 7.47242496e10, -2.950130727918164224e12,
    1.1646782814350067249e14, -4.5979787224074726105e15, 1.8152105401943546773e17, -7.1661652561756670113e18,
)  # fmt: skip


def zeta(s, q):
    """The sum of (q + k) ** -s; in single precision too it is worked out in double."""
    fmt = s.fmt
    if fmt.name == "f32":
        return zeta(s.to_double(), q.to_double()).to_format(fmt)
    total = pow(q, -s)
    for k in range(1, _TERMS):
        last = q + float(k)
        term = pow(last, -s)
        total = total + term
    total = total + term * last / (s - 1.0) - term * 0.5
    factor, power, k = s, term, 0.0
    inverse = 1.0 / last
    for coefficient in _COEFFICIENTS:
        power = power * inverse
        total = total + factor * power * (1.0 / coefficient)
        factor = factor * (s + (k + 1.0)) * (s + (k + 2.0))
        power = power * inverse
        k += 2.0
    return outlined(_negative_patch, s, q, total)


def _by_number(s, q):
    return s.of(scipycalls.call(s.b, "hurwitz_zeta", [s.ir, q.ir]))


def _negative_patch(s, q, result):
    """The result, but what the function of numbers gives where q < 0, or where an operand is not finite."""
    apart = _apart(s, q)

    def compute():
        return [select(apart, lane_by_lane(_one_number, s, q), result)]

    return when_any(apart, compute, result)[0]


def _apart(s, q):
    both = s + q
    return (q < 0.0) | (both - both != 0.0)


def _one_number(s, q):
    return when_any(_apart(s, q), lambda: [_by_number(s, q)], s.const(0.0))[0]
