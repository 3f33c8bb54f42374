"""asin, acos, atan, atan2."""
from .emit import poly, select
from .register import elementwise

# (asin(x) - x) / x**3 as a polynomial in x**2 on |x| <= 1/2; least squares with Lawson weights at Chebyshev nodes in
# 260-bit arithmetic, coefficients rounded one by one; relative error of asin 2**-55.9, in single precision 2**-27.6.
_ASIN = {
    "f64": (0.03193030690737442, -0.01624991735812347, 0.019544198386667853, 0.006522309758142714,
            0.01217048500352397, 0.013885047120548338, 0.017359723271255286, 0.022371756858845716,
            0.030381959185324586, 0.044642856827179916, 0.07500000000338398, 0.16666666666665403),
    "f32": (0.0421622, 0.02418309, 0.045469366, 0.07495309, 0.16666752),
}
# (atan(x) - x) / x**3 as a polynomial in x**2 on |x| <= 1, same method; relative error 2**-57.6 and 2**-25.8.
_ATAN = {
    "f64": (1.31976995003693e-05, -0.00015188903773316227, 0.0008300735399233687, -0.002881401063804104,
            0.0071897002005131315, -0.013890987691868638, 0.021974719858657607, -0.029895626149872005,
            0.03663672218068723, -0.04218924110889362, 0.04722224786651473, -0.052534897391882635,
            0.05880521299848749, -0.06666402951723588, 0.07692279702056173, -0.0909090699100882,
            0.1111111100633071, -0.14285714282550566, 0.1999999999995101, -0.33333333333333065),
    "f32": (0.002917966, -0.016357556, 0.043196015, -0.075509764, 0.10665485, -0.14210944, 0.19993763, -0.33333153),
}
# pi and pi/2 in two parts.
_PI = {"f64": (3.141592653589793, 1.2246467991473532e-16), "f32": (3.1415927410125732, -8.742277657347586e-08)}
_HALF_PI = {"f64": (1.5707963267948966, 6.123233995736766e-17), "f32": (1.5707963705062866, -4.371138828673793e-08)}


def _asin_parts(x):
    """(near, y, rest): asin(|x|) is y + rest where near (|x| <= 1/2), else pi/2 - 2 (y + rest).

    Beyond 1/2, y = sqrt((1 - |x|)/2).
    """
    size = x.abs()
    near = size < 0.5
    z = select(near, size * size, 0.5 - size * 0.5)
    y = select(near, size, z.sqrt())
    return near, y, y * z * poly(z, _ASIN[x.fmt.name])


@elementwise
def asin(x):
    """The inverse sine; NaN beyond +-1. At most 2 ulp."""
    near, y, rest = _asin_parts(x)
    high, low = _HALF_PI[x.fmt.name]
    far = high - ((y + y) - (low - (rest + rest)))
    return select(near, y + rest, far).with_sign(x.sign())


@elementwise
def acos(x):
    """The inverse cosine; NaN beyond +-1. At most 2 ulp."""
    near, y, rest = _asin_parts(x)
    half_high, half_low = _HALF_PI[x.fmt.name]
    high, low = _PI[x.fmt.name]
    signed, signed_rest = y.with_sign(x.sign()), rest.with_sign(x.sign())
    middle = half_high - (signed - (half_low - signed_rest))
    right = (y + rest) * 2.0
    left = high - ((y + y) - (low - (rest + rest)))
    return select(near, middle, select(x < 0.0, left, right))


def _atan_unit(t):
    """atan(t) - t for 0 <= t <= 1."""
    z = t * t
    # Near z = 1 even and odd terms cancel; only the small ones are summed apart, for a shorter chain.
    *small, a, b, c, d = _ATAN[t.fmt.name]
    return t * z * ((((poly(z, small) * z + a) * z + b) * z + c) * z + d)


@elementwise
def atan(x):
    """The inverse tangent. At most 1.6 ulp."""
    size = x.abs()
    large = size > 1.0
    t = select(large, 1.0 / size, size)
    rest = _atan_unit(t)
    high, low = _HALF_PI[x.fmt.name]
    return select(large, high - (t - (low - rest)), t + rest).with_sign(x.sign())


@elementwise
def atan2(y, x):
    """The angle of the point (x, y), with the special cases of C99 (F.9.1.4). At most 2 ulp."""
    a, b = y.abs(), x.abs()
    steep = a > b
    smaller, larger = select(steep, b, a), select(steep, a, b)
    # The ratio of equal numbers is 1 also for infinities, and 0/0 is to be 0.
    t = select(smaller == larger, x.const(1.0), smaller / larger)
    t = select(larger == 0.0, 0.0, t)
    rest = _atan_unit(t)
    negative = x.bits() < 0
    # angle = base + sign * atan(t): pi/2 -+ for steep, pi - for the left half plane.
    name = x.fmt.name
    base = select(steep, x.const(_HALF_PI[name][0]), select(negative, x.const(_PI[name][0]), 0.0))
    base_low = select(steep, x.const(_HALF_PI[name][1]), select(negative, x.const(_PI[name][1]), 0.0))
    flip = select(steep, ~x.bits(), x.bits()) & x.fmt.sign_bit
    t, rest = t.with_sign(flip), rest.with_sign(flip)
    result = base + (t + (base_low + rest))
    result = select((a != a) | (b != b), a + b, result)
    return (result.bits() | y.sign()).to_float()
