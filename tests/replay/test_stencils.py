"""Time steps on grids: parts put over others and sums of shifted parts are worked out in one go, with eager's numbers."""

import numpy as np
import pytest

import tapejit as tj
from tapejit.compile.loops import VECTOR, whole_vectors
from tapejit.compile.schedule import Planner
from tapejit.graph.periods import Run
from tapejit.graph.phases import turned

STEPS = 60


def around(u):
    return u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4.0 * u[1:-1, 1:-1]


def padded(x):
    u, v = x, x
    for _ in range(STEPS):
        u, v = 2.0 * u - v + np.pad(0.1 * around(u), 1), u
    return (u * u).sum()


def set_in_a_copy(x):
    u, v = x, 0.5 * x
    for _ in range(STEPS):
        new = u.copy()
        new[1:-1, 1:-1] = 2.0 * u[1:-1, 1:-1] - v[1:-1, 1:-1] + 0.1 * around(u)
        u, v = new, u
    return (u * u).sum()


def added_in_place(x):
    u, v = x, x
    for _ in range(STEPS):
        new = 2.0 * u - v
        new[1:-1, 1:-1] += 0.1 * around(u)
        u, v = new, u
    return (u * u).sum()


def with_edges(x):
    """Heat with one insulated edge, one that is held, and two that are neighbours of each other."""
    u = x * 1.0
    for _ in range(STEPS):
        u[1:-1, 1:-1] = u[1:-1, 1:-1] + 0.1 * around(u)
        u[0] = u[1]
        u[-1] = 0.5
        u[:, 0], u[:, -1] = u[:, -2], u[:, 1]
    return (u * u).sum()


def rolled(x):
    u, v = x, 0.3 * x
    for _ in range(STEPS):
        a = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1) - 4.0 * u
        u, v = u + 0.1 * a - 0.01 * u * v * v, v + 0.01 * np.sin(u * v)
    return (u * v).sum()


def upwind(x):
    u = x
    for _ in range(STEPS):
        c = u[1:-1, 1:-1]
        dx = np.where(c > 0, c - u[:-2, 1:-1], u[2:, 1:-1] - c)
        dy = np.where(c > 0, c - u[1:-1, :-2], u[1:-1, 2:] - c)
        u = u.copy()
        u[1:-1, 1:-1] = c - 0.01 * c * (dx + dy)
    return (u * u).sum()


def every_other(x):
    """Red and black: elements with others in between are no block."""
    u = x * 1.0
    for _ in range(STEPS):
        u[1:-1:2, 1:-1] = 0.2 * (u[2::2, 1:-1] + u[:-2:2, 1:-1])
        u[0, ::2] = u[-1, ::2] * 0.9
    return (u * u).sum()


PROGRAMS = padded, set_in_a_copy, added_in_place, with_edges, rolled, upwind, every_other


@pytest.mark.parametrize("shape", [(3, 4), (19, 35)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("f", PROGRAMS)
def test_grids_give_eagers_numbers(f, shape, dtype):
    x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    value, slope = tj.value_and_grad(f, compile="now")(x)
    true_value, true = tj.value_and_grad(f, compile="never")(x)
    rtol = 1e-10 if dtype == np.float64 else 2e-3
    np.testing.assert_allclose(value, true_value, rtol=rtol)
    np.testing.assert_allclose(slope, true, rtol=rtol, atol=rtol * np.abs(true).max())


@pytest.mark.parametrize("f", [set_in_a_copy, added_in_place, with_edges])
def test_what_is_put_over_a_block_needs_no_kernel(f):
    g = tj.value_and_grad(f, compile="now")
    g(np.ones((9, 12)))
    assert "place(" not in g.lower()
    for loop in loops_of(g):
        assert all(node.op != "call" for node in loop.graph.nodes)


@pytest.mark.parametrize("f", [padded, set_in_a_copy, with_edges])
def test_adjoints_of_whole_grids_are_gathered(f):
    g = tj.value_and_grad(f, compile="now")
    g(np.ones((9, 12)))
    assert len(loops_of(g)) == 2
    assert not any(loop.updates for loop in loops_of(g))


@pytest.mark.parametrize("f", [padded, set_in_a_copy, added_in_place])
def test_passes_hand_on_the_state_alone(f):
    g = tj.value_and_grad(f, compile="now")
    g(np.ones((12, 20)))
    ahead, back = loops_of(g)
    assert [x.shape for x in ahead.outputs] == [(12, 20)]
    assert [x.shape for x in back.outputs] == [(12, 20)] * 2  # -p beside p


@pytest.mark.parametrize("f", [padded, set_in_a_copy, rolled])
def test_a_pass_goes_over_the_grid_once(f):
    g = tj.value_and_grad(f, compile="now")
    g(np.ones((12, 20)))
    for loop in loops_of(g):
        assert len(Planner(loop.graph, loop.outputs, loop.guards, len(loop.reads)).plan()) == 1


def test_passes_begin_where_they_hand_on_least():
    """A pass: a record of two others of the pass before, and these two of it."""
    reads = np.array([[i - 2, i - 1, -1] if i % 3 == 0 else [i - 1, i - i % 3, -1] for i in range(60)])
    run = Run(3, 3, 19)
    assert turned(run, reads, np.array([0, 0, 0])) == run
    assert turned(run, reads, np.array([1, 1, 1])) == run
    assert turned(run, reads, np.array([100, 4000, 4000])) == Run(4, 3, 18)


def test_adjoints_of_small_parts_are_added_in_place():
    def steps(x):
        y = x[0] * 0.5
        for t in range(1, len(x)):
            y = tj.sin(y + x[t])
        return y.sum()

    g = tj.value_and_grad(steps, compile="now")
    g(np.ones((200, 3)))
    assert any(loop.updates for loop in loops_of(g))


def loops_of(g):
    return [node.attr for node in g._shown().plan()[0].graph.nodes if node.op == "loop"]


def test_blocks_over_blocks():
    """Blocks of all kinds, over one another, read shifted and in part, once and in a loop."""
    rng = np.random.default_rng(7)
    for _ in range(15):
        shape = tuple(rng.integers(1, 12, rng.integers(1, 4)).tolist())
        parts = [blocks(rng, shape) for _ in range(rng.integers(1, 12))]
        passes = int(rng.choice([1, 40]))

        def f(x, parts=parts, passes=passes):
            u = x * 1.0
            for _ in range(passes):
                for number, (put, read) in enumerate(parts):
                    new = u.clone()
                    new[put] = tj.sin(u[read]) * 0.5 if number % 3 else 0.25
                    u = new
                u = 0.9 * u + 0.1 * u.flip(0)
            return (u * u * x).sum() + u.reshape(-1)[0]

        x = rng.standard_normal(shape)
        value, slope = tj.value_and_grad(f, compile="now")(x)
        true_value, true = tj.value_and_grad(f, compile="never")(x)
        np.testing.assert_allclose(value, true_value, rtol=1e-12)
        np.testing.assert_allclose(slope, true, rtol=1e-10, atol=1e-12)


def blocks(rng, shape):
    """Two parts of one shape, now and then with others in between, backwards or empty."""
    put, read = [], []
    for n in shape:
        size = int(rng.integers(0 if rng.random() < 0.1 else 1, n + 1))
        a, b = rng.integers(0, n - size + 1, 2).tolist()
        step = 2 if rng.random() < 0.1 else 1
        put.append(slice(a, a + size, step))
        read.append(slice(b, b + size, step))
    return tuple(put), tuple(read)


def test_elements_with_infinities_stay_where_they_are():
    def f(x):
        u = x * 1.0
        u[1:3] = x[:2]
        return (u * np.array([1.0, 2.0, 3.0, 4.0])).sum() + tj.nan_to_num(u[0]), u

    x = np.array([np.nan, np.inf, -0.0, 1.0])
    g = tj.jit(lambda x: f(x)[1], compile="now")
    np.testing.assert_array_equal(np.asarray(g(x)), [np.nan, np.nan, np.inf, 1.0])


def test_sparsity_of_what_is_put_over_a_block():
    def f(x):
        u = x * x
        u[1:4] = x[3:6] * 2.0
        return u

    x = np.arange(1.0, 8.0)
    found = tj.sparse_jacobian(f)(x)
    np.testing.assert_allclose(found.toarray(), tj.jacobian(f)(x))
    assert found.nnz == 7


@pytest.mark.parametrize("first", range(9))
@pytest.mark.parametrize("end", [5, 16, 17, 24, 30, 62, 63, 64, 1001])
def test_ranges_of_whole_vectors(first, end):
    ranges = whole_vectors(first, end)
    covered = np.concatenate([np.arange(a, b) for a, b in ranges])
    assert set(covered.tolist()) == set(range(first, end))
    if end - first >= 2 * VECTOR:
        assert all((b - a) % VECTOR == 0 for a, b in ranges)
        assert len(covered) < end - first + 2 * VECTOR


def test_many_alike_regions_in_a_pass():
    """They are one function, called by a table inside the function of the passes."""

    def corners(x):
        u = x
        for _ in range(60):
            u = sum(np.pad(tj.sin(u[k : k + 8, 1:9]), ((k, 16 - k), (k, 16 - k))) for k in range(9))
        return (u * u).sum()

    x = np.linspace(0.0, 1.0, 576).reshape(24, 24)
    value, slope = tj.value_and_grad(corners, compile="now")(x)
    true_value, true = tj.value_and_grad(corners, compile="never")(x)
    np.testing.assert_allclose(value, true_value, rtol=1e-12)
    np.testing.assert_allclose(slope, true, rtol=1e-10, atol=1e-12)
