"""The Hurwitz zeta function: the sum of (q + k) ** -s over k = 0, 1, 2, ... for s > 1.

Euler and Maclaurin's formula after ten terms, with the coefficients (2 k)! / B(2 k) as in Cephes' zeta.c (Moshier).
"""

from .power import pow

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
    return total
