"""A planned program as text: what is fused with what."""

from tapejit.compile.steps import Call, Scalars


def lowered_text(program) -> str:
    """The steps of a program: fused loops with their bodies, kernel calls, scalar code."""
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
