"""The 27 nonlinear regressions of NIST's Statistical Reference Datasets, from both starts, with exact Jacobians.

The files, in examples/data, are in the public domain (https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml). Prints, for
each start, to how many digits parameters and standard deviations agree with the certified ones.

    python examples/nist.py
"""

import argparse
import re
import warnings
from pathlib import Path

import numpy as np

import tapejit as tj

FILES = Path(__file__).resolve().parent / "data" / "nist_strd"


def chwirut(x, b1, b2, b3):
    return tj.exp(-b1 * x) / (b2 + b3 * x)


def saturation(x, b1, b2):
    return b1 * (1 - tj.exp(-b2 * x))


def gauss(x, b1, b2, b3, b4, b5, b6, b7, b8):
    return b1 * tj.exp(-b2 * x) + b3 * tj.exp(-((x - b4) ** 2) / b5**2) + b6 * tj.exp(-((x - b7) ** 2) / b8**2)


def lanczos(x, b1, b2, b3, b4, b5, b6):
    return b1 * tj.exp(-b2 * x) + b3 * tj.exp(-b4 * x) + b5 * tj.exp(-b6 * x)


def cubic(x, b1, b2, b3, b4, b5, b6, b7):
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def enso(x, b1, b2, b3, b4, b5, b6, b7, b8, b9):
    turn = 2 * np.pi * x
    year = b2 * tj.cos(turn / 12) + b3 * tj.sin(turn / 12)
    return b1 + year + b5 * tj.cos(turn / b4) + b6 * tj.sin(turn / b4) + b8 * tj.cos(turn / b7) + b9 * tj.sin(turn / b7)


MODELS = {
    "Bennett5": lambda x, b1, b2, b3: b1 * (b2 + x) ** (-1 / b3),
    "BoxBOD": saturation,
    **dict.fromkeys(("Chwirut1", "Chwirut2"), chwirut),
    "DanWood": lambda x, b1, b2: b1 * x**b2,
    "ENSO": enso,
    "Eckerle4": lambda x, b1, b2, b3: b1 / b2 * tj.exp(-0.5 * ((x - b3) / b2) ** 2),
    **dict.fromkeys(("Gauss1", "Gauss2", "Gauss3"), gauss),
    "Hahn1": cubic,
    "Kirby2": lambda x, b1, b2, b3, b4, b5: (b1 + b2 * x + b3 * x**2) / (1 + b4 * x + b5 * x**2),
    **dict.fromkeys(("Lanczos1", "Lanczos2", "Lanczos3"), lanczos),
    "MGH09": lambda x, b1, b2, b3, b4: b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4),
    "MGH10": lambda x, b1, b2, b3: b1 * tj.exp(b2 / (x + b3)),
    "MGH17": lambda x, b1, b2, b3, b4, b5: b1 + b2 * tj.exp(-x * b4) + b3 * tj.exp(-x * b5),
    "Misra1a": saturation,
    "Misra1b": lambda x, b1, b2: b1 * (1 - (1 + b2 * x / 2) ** -2),
    "Misra1c": lambda x, b1, b2: b1 * (1 - (1 + 2 * b2 * x) ** -0.5),
    "Misra1d": lambda x, b1, b2: b1 * b2 * x / (1 + b2 * x),
    "Nelson": lambda x, b1, b2, b3: b1 - b2 * x[0] * tj.exp(-b3 * x[1]),  # of the response's logarithm
    "Rat42": lambda x, b1, b2, b3: b1 / (1 + tj.exp(b2 - b3 * x)),
    "Rat43": lambda x, b1, b2, b3, b4: b1 / (1 + tj.exp(b2 - b3 * x)) ** (1 / b4),
    "Roszman1": lambda x, b1, b2, b3, b4: b1 - b2 * x - tj.atan(b3 / (x - b4)) / np.pi,
    "Thurber": cubic,
}


def read(path):
    """(starts, certified parameters, their standard deviations, predictors, response) of one of NIST's files."""
    text = path.read_text()
    table = np.array([row.split("=")[1].split() for row in re.findall(r"^\s*b\d+ *=.*$", text, re.M)], dtype=float)
    rows = text[text.rindex("Data:") :].splitlines()[1:]
    data = np.array([row.split() for row in rows if row.strip()], dtype=float).T
    return table[:, :2].T, table[:, 2], table[:, 3], data[1] if len(data) == 2 else data[1:], data[0]


def digits(found, certified):
    """To how many digits the worst number agrees."""
    with np.errstate(divide="ignore"):
        return float(np.clip(-np.log10(np.abs(found - certified) / np.abs(certified)), 0, 11).min())


def fit(name, start, x, y):
    """(parameters, standard deviations): Levenberg-Marquardt, then a trust region where that failed."""
    y = np.log(y) if name == "Nelson" else y
    best = None
    for method in ("lm", "trf"):
        options = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
        options |= dict(x_scale="jac", max_nfev=4000) if method == "trf" else dict(maxfev=4000)
        try:
            with warnings.catch_warnings(action="ignore"):
                p, covariance = tj.optimize.curve_fit(MODELS[name], x, y, start, method=method, **options)
        except (RuntimeError, ValueError):
            continue
        residual = float(((np.asarray(MODELS[name](x, *p)) - y) ** 2).sum())
        if np.isfinite(covariance).all() and (best is None or residual < best[0]):
            best = residual, p, np.sqrt(np.diag(covariance))
    return best[1:] if best else (np.full(len(start), np.nan),) * 2


def picture(path, fits):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7.5), layout="constrained")
    axes = figure.subplots(5, 6)
    [axis.set_axis_off() for axis in axes.flat]
    for axis, (name, (x, y, p)) in zip(axes.flat, fits.items(), strict=False):
        found = np.asarray(MODELS[name](x, *p))
        y = np.log(y) if name == "Nelson" else y
        along = np.atleast_2d(x)[-1]
        order = np.argsort(along)
        axis.plot(along, y, ".", color="0.6", ms=3)
        axis.plot(along[order], found[order], "." if x.ndim == 2 else "-", lw=1, ms=2)
        axis.set_title(name, fontsize=8)
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="every fifth data set")
    parser.add_argument("--out", default="nist.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    print(f"digits of parameters (standard deviations)\n{'':10} {'start 1':>15} {'start 2':>15}")
    agreed, fits = {}, {}
    for name in list(MODELS)[:: 5 if options.quick else 1]:
        starts, certified, deviations, x, y = read(FILES / f"{name}.dat")
        agreed[name] = []
        for start in starts:
            p, sigma = fit(name, start, x, y)
            agreed[name].append((np.nan_to_num(digits(p, certified)), np.nan_to_num(digits(sigma, deviations))))
        fits[name] = x, y, p
        print(f"{name:10}" + "".join(f" {a:8.1f} ({b:4.1f})" for a, b in agreed[name]))
    good = sum(a >= 4 for both in agreed.values() for a, _ in both)
    print(f"{good} of {2 * len(agreed)} starts end at the certified parameters (to four digits and more)")
    if options.out:
        picture(options.out, fits)
    return agreed


if __name__ == "__main__":
    main()
