"""What a replayed function shows of itself: its tape, the optimised graph as text and as a picture."""


from tapejit.graph.rewrite import reachable
from tapejit.graph.verify import shown


def listing(recorder, lowering) -> list:
    """The lines of a recording, made while its tape is still there."""
    from tapejit.spec.table import OPS

    lines = []
    where = recorder.tape.handles.lines
    guards = {}
    for guard in recorder.guards:
        guards.setdefault(guard.record, []).append(guard)
    for k in range(len(recorder.tape)):
        op = OPS[lowering.columns["op"][k]]
        name = op.node_name.split("Backward")[0] if op.alias_of else op.name
        if k in recorder.notes:
            name = recorder.notes[k].name
        elif k in recorder.inputs:
            name = f"input {recorder.inputs[k]}"
        elif k in recorder.numbers:
            name = f"constant {recorder.numbers[k]:g}"
        elif k in recorder.sources:
            name = "captured array"
        layout = lowering._layout(k)
        operands = " ".join(f"%{o}" for o in lowering.operands(k))
        line = where[k] if k < len(where) else "?"
        lines.append(f"%{k:<5} {name:<16} {operands:<18} {tuple(layout.shape)!s:<12} {layout.dtype.name:<8} {line}")
        for guard in guards.get(k, ()):
            seen = guard.expected if guard.kind != "bytes" else "these values"
            lines.append(f"       guard: {guard.kind} is {seen} ({guard.line})")
    return lines


def graph_text(graph, roots) -> str:
    """The nodes that ``roots`` depend on, a line each."""
    return "\n".join(map(shown, reachable(graph.nodes, roots)))


def lowered_text(program) -> str:
    """The steps of a program: fused loops with their bodies, kernel calls, scalar code."""
    from tapejit.compile.steps import Call, Scalars

    lines = []
    for number, step in enumerate(program.plan()[1]):
        if isinstance(step, Call):
            node = step.unit.node
            name = node.attr[0] if node.op == "call" else step.unit.kind if step.unit.kind == "guard" else node.op
            operands = ", ".join(map(repr, node.args))
            lines.append(f"step {number}: {name}({operands}) -> {node!r} {node.shape}")
            continue
        if isinstance(step, Scalars):
            lines.append(f"step {number}: scalar code")
            lines += _code(step.body.code)
            lines += [f"    {u.kind} {u.number if u.kind in ('guard', 'out') else u.node!r}" for u in step.units]
            continue
        lines.append(f"step {number}: fused loop")
        for region in step.regions:
            ranges = " x ".join(f"[{a}, {b})" for a, b in region.box)
            lines.append(f"  for i in {ranges}:")
            lines += _code(region.body)
            for unit, value, last in region.roots:
                target = f"out {unit.number}" if unit.kind == "out" else repr(unit.node)
                target += "" if last is None else f"[..., {last}]"
                lines.append(f"    {target} {'+=' if unit.kind == 'reduce' else '='} t{value}")
    return "\n".join(lines)


def _code(code):
    lines = []
    for p, instruction in enumerate(code):
        what, dtype, *rest = instruction
        if what == "const":
            text = rest[0]
        elif what == "load":
            terms = [str(rest[1][0])] + [f"{c} i{d}" for d, c in enumerate(rest[1][1:]) if c]
            text = f"%{rest[0]}[{' + '.join(terms)}]"
        elif what == "cast":
            text = f"{dtype}(t{rest[1]})"
        else:
            text = f"{rest[0]}({', '.join(f't{a}' for a in rest[1:])})"
        lines.append(f"    t{p} = {text}")
    return lines


def dot_text(program) -> str:
    """The graph of a program in Graphviz's DOT language."""
    frozen = program.frozen
    roots = [*frozen.outputs, *(node for node, _, _ in frozen.guards)]
    lines = ["digraph program {", "  rankdir=TB; node [shape=box, fontname=monospace];"]
    for node in reachable(frozen.graph.nodes, roots):
        label = f"{node.attr[0] if node.op == 'call' else node.op}"
        if node.op in ("input", "const", "extern"):
            label += f" {node.attr}"
        lines.append(f'  n{node.id} [label="{label}\\n{node.shape}"];')
        lines += [f"  n{a.id} -> n{node.id};" for a in node.args]
    for j, node in enumerate(frozen.outputs):
        lines += [f'  out{j} [label="result {j}", shape=ellipse];', f"  n{node.id} -> out{j};"]
    for j, (node, kind, _) in enumerate(frozen.guards):
        lines += [f'  guard{j} [label="guard {j}: {kind}", shape=diamond];', f"  n{node.id} -> guard{j};"]
    return "\n".join([*lines, "}"])
