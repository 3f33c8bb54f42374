"""The graph against its oracle: random programs are verified after every pass, and evaluated before and after it."""

import numpy as np
import pytest
from random_array_programs import Program as Random

import tapejit as tj
from tapejit.eager.dispatch import from_array
from tapejit.graph import sparsity, verify
from tapejit.graph.build import Lowering
from tapejit.graph.evaluate import evaluate
from tapejit.graph.node import Affine, Graph, Kernel, Places, Steps
from tapejit.graph.rewrite import pack_scalars
from tapejit.graph.show import graph_text
from tapejit.replay.recorder import Recorder
from tapejit.spec.table import BY_NAME


def lowered(function, arrays):
    """The graph of a function of arrays, its roots, and the results of the recording."""
    with Recorder() as recorder:
        inputs = [from_array(x) for x in arrays]
        for j, t in enumerate(inputs):
            recorder.inputs[recorder.index(t)] = j
        outputs = function(*inputs)
        records = [recorder.index(t) for t in outputs]
        values = [np.array(t._memory()) for t in outputs]
    lowering = Lowering(recorder)
    roots = lowering.nodes(records)
    return lowering.graph, roots, values, lowering


def close(found, expected, **kwargs):
    for x, y in zip(found, expected, strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-9, **kwargs)


def with_gradients(random):
    transformed = tj.value_and_grad(random.function, (0, 1)).function

    def function(x, y):
        value, gradients = transformed(x, y)
        return [value, *gradients]

    return function


@pytest.mark.parametrize("seed", range(60))
def test_lowering_and_packing_keep_what_eager_execution_gives(seed):
    random = Random(seed)
    arrays = random.arguments()
    graph, roots, values, _ = lowered(with_gradients(random), arrays)
    verify.check(graph, roots, "lowering")
    close(evaluate(graph, roots, arrays), values, err_msg=random.source)
    packed = pack_scalars(graph, roots)
    verify.check(graph, packed, "pack_scalars")
    close(evaluate(graph, packed, arrays), values, err_msg=random.source)
    others = random.arguments()
    close(evaluate(graph, packed, others), evaluate(graph, roots, others), err_msg=random.source)


@pytest.mark.parametrize("seed", range(100, 120))
def test_compiled_programs_give_what_their_graph_says(seed):
    random = Random(seed)
    g = tj.value_and_grad(random.function, (0, 1), compile="now")
    arrays = random.arguments()
    g(*arrays)
    value, gradients = g(*arrays)
    frozen = g._last.latest().frozen
    close(evaluate(frozen.graph, frozen.outputs, arrays), [np.asarray(value), *gradients], err_msg=random.source)


def jacobian_by_differences(graph, root, arrays, step=1e-6):
    columns = []
    for i in range(arrays[0].size):
        moved = []
        for sign in (1, -1):
            x = arrays[0].copy()
            x.reshape(-1)[i] += sign * step
            moved.append(evaluate(graph, [root], [x, *arrays[1:]])[0].reshape(-1))
        columns.append((moved[0] - moved[1]) / (2 * step))
    return np.stack(columns, 1)


@pytest.mark.parametrize("seed", range(200, 240))
def test_patterns_cover_every_entry_that_is_not_zero(seed):
    random = Random(seed)
    arrays = random.arguments()

    def gradient(x, y):
        return [tj.grad(random.function).function(x, y)]

    graph, (root,), _, lowering = lowered(gradient, arrays)
    k = next(iter(lowering.recorder.inputs))
    pattern = sparsity.pattern(graph, root, lowering.node(k))
    if pattern is None:
        return
    nonzero = np.abs(jacobian_by_differences(graph, root, arrays)) > 1e-5
    assert not (nonzero & ~pattern.toarray().astype(bool)).any(), random.source


def relax(x, w):
    for _ in range(80):
        x = tj.tanh(x * w) + 0.1 * x.roll(1, 0)
    return x


def walk(x, w):
    total, a, b = 0.0, x[0], x[1]
    for k in range(120):
        a, b = 0.9 * b + 0.01 * k * w[0], tj.sin(a) * 1.1
        total = total + a * b
    return total


def steps(x, w):
    state, kept = x, []
    for k in range(90):
        state = state + 0.01 * (w @ state) * x[k % 3]
        kept.append(state[0])
    return tj.stack(kept)


@pytest.mark.parametrize(("f", "w"), [(relax, np.array([0.5, 1.5, -0.7])), (walk, np.ones(1)), (steps, np.eye(3) - 0.3)])
def test_loops_are_what_their_passes_say(f, w):
    x = np.array([0.3, -0.8, 1.2])
    found = 0
    for transform in (tj.jit(f, compile="now"), tj.value_and_grad(lambda x, w: (f(x, w) ** 2).sum(), (0, 1), compile="now")):
        transform(x, w)
        value = transform(x, w)
        frozen = transform._last.latest().frozen
        found += sum(n.op == "loop" for n in frozen.graph.nodes)
        value = [value] if isinstance(value, (float, np.ndarray)) else [value[0], *value[1]]
        close(evaluate(frozen.graph, frozen.outputs, [x, w]), [np.asarray(v) for v in value])
    assert found


@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3).T, np.arange(24.0).reshape(4, 6)[::2, ::3]])
def test_views_merge_dimensions_of_arrays_that_are_not_contiguous(array):
    g = tj.jit(lambda x: x * tj.from_numpy(array).reshape(-1), compile="now")
    for k in (1.0, 2.0):
        np.testing.assert_array_equal(g(np.full(array.size, k)), k * array.reshape(-1))
    assert g.calls["replayed"] == 1


# What verify refuses, one for each rule


def broken(make, message):
    graph = Graph()
    x = graph.input(0, (2, 3), "f8")
    make(graph, x)
    with pytest.raises(verify.Illegal, match=message):
        verify.check(graph)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda g, x: g.node("frobnicate", (x,), None, (2, 3), "f8"), "no such op"),
        (lambda g, x: g.node("add", (x,), None, (2, 3), "f8"), "1 operands, not 2"),
        (lambda g, x: g.node("add", (x, x), None, (3, 2), "f8"), r"shape \(2, 3\) together"),
        (lambda g, x: g.node("add", (x, g.input(1, (2, 3), "f4")), None, (2, 3), "f8"), "dtypes"),
        (lambda g, x: g.node("add", (x, x), "sum", (2, 3), "f8"), "neither None nor EXACT"),
        (lambda g, x: g.node("lt", (x, x), None, (2, 3), "f8"), "bools"),
        (lambda g, x: g.node("select", (x, x, x), None, (2, 3), "f8"), "condition"),
        (lambda g, x: g.node("exp", (x,), None, (2, 3), "f4"), "its operands are f8"),
        (lambda g, x: g.node("exp", (x,), None, (2, 3), "c16"), "no such dtype"),
        (lambda g, x: g.node("view", (x,), ((1,), 0), (3,), "f8"), "attribute is a tuple, not a Affine"),
        (lambda g, x: g.node("view", (x,), Affine((3,), 0), (3,), "f8"), "reaches from 0 to 6 of 6"),
        (lambda g, x: g.node("view", (x,), Affine((-1,), 1), (3,), "f8"), "reaches from -1"),
        (lambda g, x: g.node("spread", (x,), Affine((3, 1), 2), (6,), "f8"), "reaches from 2 to 7 of 6"),
        (lambda g, x: g.node("sum", (x,), Steps((1, 0)), (), "f8"), "reaches"),
        (lambda g, x: g.node("sum", (x,), (0, 0), (), "f8"), "not a Steps"),
        (lambda g, x: g.node("pack", (x,), Places((0,)), (4,), "f8"), "no number"),
        (lambda g, x: g.node("matmul", (x, x), None, (2, 3), "f8"), "shapes"),
        (lambda g, x: g.node("call", (x,), Kernel("exp", BY_NAME["exp"].code, 0, 0.0), (2, 3), "f8"), "no such kernel"),
        (lambda g, x: g.node("call", (x,), Kernel("take", BY_NAME["take"].code, 0, 0.0), (2,), "f8"), "1 operands, not 2"),
        (lambda g, x: g.node("input", (), "x", (2,), "f8"), "not a int"),
    ],
)
def test_illegal_nodes_are_refused(make, message):
    broken(make, message)


def test_nodes_of_other_graphs_are_refused():
    graph, other = Graph(), Graph()
    x = other.input(0, (2,), "f8")
    graph.node("neg", (x,), None, (2,), "f8")
    with pytest.raises(verify.Illegal, match="no earlier node"):
        verify.check(graph)
    with pytest.raises(verify.Illegal, match="is no node of the graph"):
        verify.check(Graph(), [x])


def test_a_graph_prints_a_line_per_node_that_matters():
    graph = Graph()
    x = graph.input(0, (2, 3), "f8")
    graph.elementwise("cos", x)
    total = graph.sum(graph.elementwise("exp", x), (0, 0), 1.0, ())
    assert graph_text(graph, [total]).splitlines() == [
        "%0 = input f8 (2, 3) () [0]",
        "%2 = exp f8 (2, 3) (%0)",
        "%3 = sum f8 () (%2) [(0, 0)]",
    ]


def test_stretches_of_one_array_put_side_by_side_are_one_stretch():
    g = Graph()
    x = g.node("call", (), ("made", 0, 0, 0.0), (12,), "f8")
    total = None
    for k in (0, 2, 1):
        piece = g.spread(g.view(x, (4,), (1,), 4 * k), (1,), 4 * k, (3, 4))
        total = piece if total is None else g.elementwise("add", total, piece)
    assert total.op == "add"  # 0 and 2 are no neighbours
    total = None
    for k in range(3):
        piece = g.spread(g.view(x, (4,), (1,), 4 * k), (1,), 4 * k, (3, 4))
        total = piece if total is None else g.elementwise("add", total, piece)
    assert (total.op, total.args, total.attr.start) == ("view", (x,), 0)


@pytest.mark.parametrize(("start", "kind"), [(0, "const"), (3, "spread"), (6, "view"), (9, "spread"), (12, "const")])
def test_a_stretch_of_what_was_put_among_zeros_holds_no_more_zeros_than_it_has(start, kind):
    g = Graph()
    y = g.input(0, (6,), "f8")
    whole = g.spread(y, (1,), 5, (5000,))
    part = g.view(whole, (4,), (1,), start)
    assert part.op == kind
    put = np.zeros(5000)
    put[5:11] = np.arange(1.0, 7.0)
    values = evaluate(g, [part], [np.arange(1.0, 7.0)])[0]
    assert np.array_equal(np.broadcast_to(values, (4,)), put[start : start + 4])
