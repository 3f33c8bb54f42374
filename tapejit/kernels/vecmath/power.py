"""pow and hypot."""
from .emit import SINGLE, clamp, elementwise, fast_two_sum, horner, poly, product_residual, select, two_prod
from .exponential import exp2_tail, power_of_two, scale
from .logarithm import split_any, split_exponent

INF = float("inf")
# log2((1 + s)/(1 - s)) = s (C + z (D + z Q(z))), z = s**2 <= 0.02944, with C = 2/ln 2 and D = 2/(3 ln 2) in two parts;
# least squares with Lawson weights, coefficients rounded one by one; error relative to the logarithm 2**-66.3.
_C = (2.8853900817779268, 4.0710547481862066e-17)
_D = (0.9617966939259756, 5.0577616648125907e-17)
_Q = (0.190390161413829, 0.19125462389440967, 0.22198402229865408, 0.2623077005509527, 0.32059890228077326,
      0.4121985830918945, 0.5770780163556181)
# For single precision, computed in double: log2(1 + f) / f on -0.2929 <= f <= 0.4142 and (2**r - 1) / r on |r| <= 0.5;
# same method, relative error 2**-30.5 and 2**-28.9.
_LOG2 = (0.09691717328056856, -0.1689917379581833, 0.1720735301641668, -0.17892340449092914, 0.20504301125374114,
         -0.24046618321947655, 0.2885761597121092, -0.3606741764264247, 0.48089788969189967, -0.7213475154623192,
         1.4426950417983002)
_EXP2 = (0.0001536015547223278, 0.0013399135219564857, 0.009618412990827878, 0.05550331577808053,
         0.24022648115138026, 0.6931472035400478)


def _log2_pair(x):
    """(high, low) with high + low = log2(x) to about 2**-64, for finite x > 0 in double precision."""
    k, m = split_any(x)
    f = m - 1.0
    # s + s_low = f / (2 + f)
    d, d_low = fast_two_sum(f.const(2.0), f)
    inverse = 1.0 / d
    s = f.mul(inverse)
    s_low = (product_residual(f, s, d) - s * d_low) * inverse
    # v + v_low = C + z (D + z Q(z)), z = s**2: only z**2 Q does not need more than double precision.
    z, z_low = two_prod(s, s)
    z_low = z_low + (s + s) * s_low
    r, r_low = fast_two_sum(z.const(_D[0]), z * poly(z, _Q))
    w, w_low = two_prod(z, r)
    w_low = w_low + (z * (r_low + _D[1]) + z_low * r)
    v, v_low = fast_two_sum(z.const(_C[0]), w)
    v_low = (v_low + _C[1]) + w_low
    # k + s v
    w, w_low = two_prod(s, v)
    high, low = fast_two_sum(k, w)
    return high, low + (w_low + (s * v_low + s_low * v))


def _pow_double(x, y):
    """x**y for x >= 0; 1 wherever log(x) or y is 0."""
    log, log_low = _log2_pair(x)
    log = select(x < INF, log, x)
    log = select(x == 0.0, -INF, log)
    product, low = two_prod(y, log)
    unit = (log == 0.0) | (y == 0.0)
    t = clamp(select(unit, 0.0, product), -1080.0, 1025.0)
    low = select(t == product, low + y * log_low, 0.0)
    n = t.add(t.fmt.magic).sub(t.fmt.magic)
    r = t.sub(n) + low
    return scale(1.0 + exp2_tail(r), n)


def _pow_single(x, y):
    """The same for single precision, with double precision inside: no pairs, no subnormal numbers."""
    wide_x, wide_y = x.to_double(), y.to_double()
    k, m = split_exponent(wide_x)
    f = m - 1.0
    log = k + f * horner(f, _LOG2)
    log = select(wide_x < INF, log, wide_x)
    log = select(wide_x == 0.0, -INF, log)
    t = clamp(select((log == 0.0) | (wide_y == 0.0), 0.0, wide_y * log), -160.0, 140.0)
    n = t.add(t.fmt.magic).sub(t.fmt.magic)
    r = t.sub(n)
    return ((1.0 + r * horner(r, _EXP2)) * power_of_two(n)).to_format(SINGLE)


@elementwise
def pow(x, y):
    """x**y with all special cases of C99 (F.9.4.4). At most 1.5 ulp."""
    even = 2.0 ** (x.fmt.mantissa + 1)
    size = x.abs()
    result = (_pow_double if x.fmt.is_double else _pow_single)(size, y)
    # Distance of y from the nearest even number: 0 for even y, 1 for odd, else something else. From `even` on, y is even.
    distance = y.abs()
    distance = select(distance > even, even, distance)
    distance = distance.sub(distance.add(even).sub(even)).abs()
    odd = distance == 1.0
    result = result.with_sign(select(odd, x.sign(), 0))
    undefined = (x < 0.0) & (x > -INF) & (distance != 0.0) & ~odd
    return select(undefined, float("nan"), result)


@elementwise
def hypot(x, y):
    """sqrt(x**2 + y**2) without overflow or underflow; infinite if either argument is. At most 1.2 ulp."""
    a, b = x.abs(), y.abs()
    if x.fmt.is_double:
        top = select(a > b, a, b)
        large, small = top > 2.0**500, top < 2.0**-500
        factor = select(large, 2.0**-600, select(small, x.const(2.0**600), 1.0))
        inverse = select(large, 2.0**600, select(small, x.const(2.0**-600), 1.0))
        p, q = a * factor, b * factor
        result = (p * p + q * q).sqrt() * inverse
    else:
        p, q = a.to_double(), b.to_double()
        result = (p * p + q * q).sqrt().to_format(SINGLE)
    return select((a == INF) | (b == INF), INF, result)
