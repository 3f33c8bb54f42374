"""A planned program as text: what is fused with what."""

from tapejit.compile.steps import Blocks, Call, Scalars


def lowered_text(program) -> str:
    """The steps of a program: fused loops with their bodies, kernel calls, scalar code."""
    lines = []
    for number, step in enumerate(program.plan()[1]):
        if isinstance(step, Blocks):
            lines.append(f"step {number}: for each {step.block} of {step.rows} rows, in {step.parts} parts")
            for k, (member, _) in enumerate(step.members):
                lines += _step(f"  step {number}.{k}", member)
        else:
            lines += _step(f"step {number}", step)
    return "\n".join(lines)


def _step(name, step):
    if isinstance(step, Call):
        node = step.unit.node
        what = node.attr[0] if node.op == "call" else step.unit.kind if step.unit.kind == "guard" else node.op
        return [f"{name}: {what}({', '.join(map(repr, node.args))}) -> {node!r} {node.shape}"]
    if isinstance(step, Scalars):
        units = [f"    {u.kind} {u.number if u.kind in ('guard', 'out') else u.node!r}" for u in step.units]
        return [f"{name}: scalar code", *_code(step.body.code), *units]
    lines = [f"{name}: fused loop"]
    for region in step.regions:
        ranges = " x ".join(f"[{a}, {b})" for a, b in region.box)
        lines += [f"  for i in {ranges}:", *_code(region.body)]
        for unit, value, last in region.roots:
            target = f"out {unit.number}" if unit.kind == "out" else repr(unit.node)
            target += "" if last is None else f"[..., {last}]"
            lines.append(f"    {target} {'+=' if unit.kind in ('reduce', 'addend') else '='} t{value}")
    return lines


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
