"""erf and erfc."""
from .emit import fast_two_sum, horner, poly, product_residual, select, two_prod, two_sum
from .exponential import exp_tail, power_of_two, reduce_exp, scale
from .register import elementwise

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
            -0.006006746381033557, 0.025824140633530834, 0.8926403306148593, 3.5088008017795254,
            3.3844920895515536),
    "f32": (-0.00019037451, 0.0012762333, -0.006018973, 0.025816884, 0.89264095, 3.5088015, 3.3844922),
}
# As _ERF on |x| <= 3/4, for erfc there: 2**-54.0 and 2**-29.6.
_ERF_NEAR = {
    "f64": (-1.246157049132317e-07, 1.5977237287713597e-06, -1.489098686309982e-05, 0.00012053791324118057,
            -0.0008548283255041277, 0.005223976838393195, -0.0268661705590344, 0.11283791670429391,
            -0.376126389031687, 0.12837916709551125),
    "f32": (-0.00065573456, 0.0050841314, -0.026817255, 0.11282936, -0.37612572, 0.12837915),
}
# e**(x**2) erfc(x) (x + a) as a polynomial in t = (x - a)/(x + a), 3/4 <= x <= 27.4 (10.3), a = 3 (2), after the idea of
# Shepherd and Laframboise (Math. Comp. 36, 1981); relative error 2**-58.4 and 2**-27.3. The last coefficient has a second
# part, _ERFCX_LOW.
_ERFCX = {
    "f64": (-1.6966704176448524e-08, 4.686668819989727e-08, 7.095147386892371e-08, -2.4079236970589554e-07,
            -4.245779898686794e-07, 1.0075879773495229e-06, 2.7713263968321977e-06, -4.753443584326132e-06,
            -1.747176567556564e-05, 3.0399293808956803e-05, 0.0001075616186179258, -0.0002767780248212304,
            -0.0005483096981846008, 0.0030340620175842133, -0.001212416627230409, -0.026827234625288625,
            0.11952776128730175, -0.31046726190054946, 0.5902283571041016, -0.8833944531698837,
            1.0740069070883398),
    "f32": (-0.0003983669, -0.00088886986, 0.0029975073, 0.0065025636, -0.021499097, -0.036444876, 0.2794716,
            -0.6871606, 1.0215827),
}
_ERFCX_LOW = {"f64": -8.787147571913934e-17, "f32": -1.4138206e-08}
# Its derivative, to 8 bits.
_ERFCX_SLOPE = {
    "f64": (0.40117222, -0.9756168, 1.1994295, -0.8817539),
    "f32": (-0.060316402, -0.10329586, 0.5554172, -0.68729705),
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
    k, r, tail = reduce_exp(-(centre + t * (slope + t * poly(t, most))))
    far = (1.0 - power_of_two(k)) - (r + exp_tail(r, tail)) * power_of_two(k)
    return select(size > 1.0, far, near).with_sign(x.sign())


@elementwise
def erfc(x):
    """1 - erf(x) without cancellation for large x; subnormal results round once. At most 2 ulp."""
    size = x.abs()
    near = 1.0 - x - x * poly(x * x, _ERF_NEAR[x.fmt.name])
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
    k, r, tail = reduce_exp(-square)
    r, tail = fast_two_sum(r, tail - square_low)
    e, e_low = fast_two_sum(r.const(1.0), r)
    e_low = e_low + exp_tail(r, tail)
    # q p e, all three as sums.
    product, product_low = two_prod(q, p)
    product_low = product_low + q * p_low
    high, low = two_prod(product, e)
    far = scale(high + (low + (product * (e_low + q_low) + product_low * e)), k)
    far = select(x < 0.0, 2.0 - far, far)
    return select(size > 0.75, far, near)
