"""Special functions of numbers that SciPy has not: derivatives in parameters, and real branches.

``FUNCTIONS`` has those that machine code calls (``edge.scipycalls``), by name; each is compiled when it is first called, and
takes an int at the end, as Cython's functions do.
"""

from . import faddeeva, hurwitz, incomplete_beta, incomplete_gamma, lambert

FUNCTIONS = {
    "gammainc_a": incomplete_gamma.gammainc_a,
    "gammainc_aa": incomplete_gamma.gammainc_aa,
    "gamma_density": incomplete_gamma.gamma_density,
    "betainc_a": incomplete_beta.betainc_a,
    "betainc_b": incomplete_beta.betainc_b,
    "betainc_aa": incomplete_beta.betainc_aa,
    "betainc_ab": incomplete_beta.betainc_ab,
    "betainc_bb": incomplete_beta.betainc_bb,
    "beta_density": incomplete_beta.beta_density,
    "lambertw": lambert.lambertw,
    "lambertw_lower": lambert.lambertw_lower,
    "hurwitz_zeta": hurwitz.hurwitz_zeta,
    "zeta_s": hurwitz.zeta_s,
    "zeta_ss": hurwitz.zeta_ss,
    "wofz_real": faddeeva.wofz_real,
    "wofz_imag": faddeeva.wofz_imag,
}
