"""erf and erfc."""
from .emit import elementwise, fast_two_sum, horner, poly, product_residual, select, two_prod, two_sum
from .exponential import exp_tail, power_of_two, reduce_exp, scale

# All tables: least squares with Lawson weights at Chebyshev nodes in 260-bit arithmetic, coefficients rounded one by one.
# erf(x)/x - 1 as a polynomial in x**2 on |x| <= 1; relative error of erf 2**-56.0, in single precision 2**-29.3.
_ERF = {
    "f64": (-7.763554380260656e-10, 1.3701957643017988e-08, -1.6204089685602365e-07, 1.6446819095611702e-06,
           -1.4924684738005908e-05, 0.00012055291991817765, -0.0008548325869579551, 0.005223977604673458,
           -0.02686617064289813, 0.11283791670942439, -0.37612638903183454, 0.12837916709551256),
    "f32": (7.841646e-05, -0.000800666, 0.005187954, -0.026853641, 0.112835824, -0.37612626, 0.12837917),
}
# -log(erfc(x)) as a polynomial in x - 3/2 on 1 <= x <= 5.95 (3.95); error times erfc(x): 2**-54.9 and 2**-28.2.
_MINUS_LOG_ERFC = {
    "f64": (-1.7483004861203546e-11, 2.243231304996499e-10, -1.0054864017707657e-09, -2.475114296708458e-10,
            2.7947415423447327e-08, -1.915284714241507e-07, 8.180404653917124e-07, -2.371049906737057e-06,
            2.6471542956556418e-06, 2.2473686909159375e-05, -0.000215963365683904, 0.0012572166898921215,
            -0.006006746381033557, 0.025824140633530834, 0.8926403306148593, 3.5088008017795254, 3.3844920895515536),
    "f32": (-0.00019037451, 0.0012762333, -0.006018973, 0.025816884, 0.89264095, 3.5088015, 3.3844922),
}
# As _ERF on |x| <= 0.4: 2**-55.6 and 2**-25.1.
_ERF_NEAR = {
    "f64": (-1.3910799656234452e-05, 0.00012029284401149742, -0.0008547976920916214, 0.005223975015641648, -0.026866170539648376,
           0.1128379167074701, -0.3761263890318222, 0.12837916709551256),
    "f32": (-0.02523848, 0.112674505, -0.376121, 0.12837914),
}
# e**(x**2) erfc(x) (x + a) as a polynomial in t = (x - a)/(x + a), 0.399 <= x <= 27.4 (10.3), a = 3 (2), after the idea of
# Shepherd and Laframboise (Math. Comp. 36, 1981); relative error 2**-58.8 and 2**-26.4. The last coefficient has a second
# part, _ERFCX_LOW.
_ERFCX = {
    "f64": (-6.119214769726765e-09, -3.150305253629706e-09, 4.7852813858807104e-08, 4.8575346890678227e-08,
           -2.316990131999573e-07, -4.096862894542014e-07, 9.982119433239245e-07, 2.7661303728322617e-06,
           -4.7490989617877575e-06, -1.7470774167470412e-05, 3.0398161707220564e-05, 0.00010756152591593216,
           -0.0002767778501583423, -0.0005483096967570233, 0.0030340620018749656, -0.001212416626802606,
           -0.02682723462452451, 0.11952776128727227, -0.3104672619005664, 0.5902283571041022, -0.8833944531698836,
           1.0740069070883398),
    "f32": (-0.0004934909, -0.00078899576, 0.003014326, 0.0064631035, -0.021496268, -0.03644045, 0.27947113, -0.68716073,
           1.0215827),
}
_ERFCX_LOW = {"f64": -8.937571371854127e-17, "f32": -7.220712472388868e-09}
# Its derivative, to 8 bits.
_ERFCX_SLOPE = {
    "f64": (0.43177816, -0.99955565, 1.197276, -0.8795258),
    "f32": (-0.07068312, -0.09655183, 0.55598056, -0.6877474),
}
_ERFCX_CENTRE = {"f64": 3.0, "f32": 2.0}
_ERF_LIMIT = {"f64": 5.95, "f32": 3.95}
_ERFC_LIMIT = {"f64": 27.4, "f32": 10.3}


@elementwise
def erf(x):
    """The error function; erf(-0) is -0. At most 2 ulp."""
    size = x.abs()
    z = size * size
    near = size + size * poly(z, _ERF[x.fmt.name])
    limit = _ERF_LIMIT[x.fmt.name]
    t = select(size > limit, limit, size) - 1.5
    *most, slope, centre = _MINUS_LOG_ERFC[x.fmt.name]
    n, r, tail = reduce_exp(-(centre + t * (slope + t * poly(t, most))))
    far = (1.0 - power_of_two(n)) - (r + exp_tail(r, tail)) * power_of_two(n)
    return select(size > 1.0, far, near).with_sign(x.sign())


@elementwise
def erfc(x):
    """1 - erf(x) without cancellation for large x; subnormal results round once. At most 2 ulp."""
    size = x.abs()
    near = 1.0 - (x + x * poly(x * x, _ERF_NEAR[x.fmt.name]))
    limit, centre = _ERFC_LIMIT[x.fmt.name], _ERFCX_CENTRE[x.fmt.name]
    bounded = select(size > limit, limit, size)
    # q = 1 / (x + a), t = (x - a) q, and what their rounding leaves out: of q as a fraction, of t as a number.
    d, d_low = two_sum(bounded, centre)
    u, u_low = two_sum(bounded, -centre)
    q = 1.0 / d
    t = u * q
    q_low = product_residual(q.const(1.0), q, d) - q * d_low
    t_low = (product_residual(u, t, d) + (u_low - t * d_low)) * q
    *most, last = _ERFCX[x.fmt.name]
    rest, rest_low = two_prod(t, horner(t, most))
    p, p_low = fast_two_sum(q.const(last), rest)
    p_low = p_low + (rest_low + (_ERFCX_LOW[x.fmt.name] + t_low * horner(t, _ERFCX_SLOPE[x.fmt.name])))
    # e**-(x**2), with what the square loses.
    square, square_low = two_prod(bounded, bounded)
    n, r, tail = reduce_exp(-square)
    r, tail = fast_two_sum(r, tail - square_low)
    e = r + exp_tail(r, tail)
    high, low = two_prod(q, p)
    far = scale(high + (low + q * (p * (e + q_low) + p_low)), n)
    far = select(x < 0.0, 2.0 - far, far)
    return select(size > 0.4, far, near)
