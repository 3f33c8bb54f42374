"""A cart swings up a pole: optimal control by direct collocation, with the sparse derivatives of the whole problem.

The problem and its figures are Kelly's, An introduction to trajectory optimization, SIAM Review 59, 2017, section 6: from rest,
pole down, to rest one metre on, pole up, in two seconds, with the least integral of the force squared, by trapezoids. States
and forces at all times are one vector; Newton's method on the optimality conditions takes the sparse Jacobian of the steps
and the sparse Hessian of the Lagrangian, both found from the code.

    python examples/cart_pole.py
"""

import argparse
import time

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

import tapejit as tj

CART, POLE, LENGTH, GRAVITY = 1.0, 0.3, 0.5, 9.81
DISTANCE, DURATION, LIMIT = 1.0, 2.0, 20.0


def split(z):
    """(positions, angles, speeds, angular speeds, forces), each at all times."""
    n = z.shape[0] // 5
    return tuple(z[k * n : (k + 1) * n] for k in range(5))


def slopes(angle, turning, force):
    """(acceleration, angular acceleration): Kelly's equations 6.1 and 6.2."""
    s, c = tj.sin(angle), tj.cos(angle)
    below = CART + POLE * (1 - c * c)
    straight = (LENGTH * POLE * s * turning**2 + force + POLE * GRAVITY * c * s) / below
    around = -(LENGTH * POLE * c * s * turning**2 + force * c + (CART + POLE) * GRAVITY * s) / (LENGTH * below)
    return straight, around


def constraints(z):
    """The steps by trapezoids, and both ends; all are zero."""
    place, angle, speed, turning, force = split(z)
    straight, around = slopes(angle, turning, force)
    h = DURATION / (place.shape[0] - 1)
    steps = [
        value[1:] - value[:-1] - 0.5 * h * (slope[1:] + slope[:-1])
        for value, slope in ((place, speed), (angle, turning), (speed, straight), (turning, around))
    ]
    ends = [tj.stack([v[0], v[-1] - end]) for v, end in ((place, DISTANCE), (angle, np.pi), (speed, 0.0), (turning, 0.0))]
    return tj.cat([*steps, *ends])


def effort(z):
    force = split(z)[4]
    h = DURATION / (force.shape[0] - 1)
    return h * ((force * force).sum() - 0.5 * (force[0] ** 2 + force[-1] ** 2))


def lagrangian(z, multipliers):
    return effort(z) + (multipliers * constraints(z)).sum()


gradient, jacobian, hessian = tj.grad(lagrangian), tj.sparse_jacobian(constraints), tj.sparse_hessian(lagrangian)
gap = tj.jit(constraints)


def solve(z, tol=1e-9, most=60):
    """(z, multipliers, the rows of the table): Newton's method, with steps cut until the conditions get nearer to zero."""
    multipliers = np.zeros(len(gap(z)))

    def conditions(z, multipliers):
        return np.concatenate([gradient(z, multipliers), gap(z)])

    wrong, rows = conditions(z, multipliers), []
    for k in range(most):
        J, H = jacobian(z), hessian(z, multipliers)
        rows.append((k, float(effort(z)), np.abs(gap(z)).max(), np.abs(wrong).max()))
        if np.abs(wrong).max() < tol:
            return z, multipliers, rows, (J, H)
        damping = 1e-9 * sparse.eye_array(len(multipliers))
        step = spsolve(sparse.block_array([[H, J.T], [J, -damping]], format="csc"), -wrong)
        share = 1.0
        while True:
            trial = z + share * step[: len(z)], multipliers + share * step[len(z) :]
            after = conditions(*trial)
            if np.linalg.norm(after) < (1 - 0.1 * share) * np.linalg.norm(wrong) or share < 1e-3:
                break
            share *= 0.5
        (z, multipliers), wrong = trial, after
    raise ArithmeticError(f"no solution in {most} steps")


def picture(path, z):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    place, angle, _, _, force = split(z)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
    for k in np.linspace(0, len(place) - 1, 15).astype(int):
        x, y = place[k] + LENGTH * np.sin(angle[k]), -LENGTH * np.cos(angle[k])
        left.plot([place[k], x], [0, y], "-o", color=plt.cm.viridis(k / len(place)), ms=4, lw=1.5)
    left.set(aspect="equal", xlabel="m", title="From down (dark) to up")
    right.plot(np.linspace(0, DURATION, len(force)), force)
    right.set(xlabel="s", ylabel="N", title="Force")
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="25 times in place of 101")
    parser.add_argument("--out", default="cart_pole.png", help="the picture; empty for none")
    options = parser.parse_args(arguments)

    n = 25 if options.quick else 101
    guess = np.concatenate([np.linspace(0, DISTANCE, n), np.linspace(0, np.pi, n), np.zeros(3 * n)])  # Kelly's
    solve(guess)  # compiles
    begin = time.perf_counter()
    z, multipliers, rows, (J, H) = solve(guess)
    taken = time.perf_counter() - begin
    print(f"{len(z)} unknowns, {len(multipliers)} constraints; {J.nnz} and {H.nnz} entries of the Jacobian and the Hessian")
    print(f"{'step':>4} {'effort':>10} {'constraints':>12} {'conditions':>11}")
    for k, value, off, wrong in rows:
        print(f"{k:4d} {value:10.4f} {off:12.1e} {wrong:11.1e}")
    force = np.asarray(split(z)[4])
    print(f"{1e3 * taken:.0f} ms; largest force {np.abs(force).max():.2f} N, of {LIMIT:.0f} allowed")
    if options.out:
        picture(options.out, z)
    return z


if __name__ == "__main__":
    main()
