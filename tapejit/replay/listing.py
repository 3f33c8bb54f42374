"""A recording as text: a line for each record of its tape."""

from tapejit.spec.table import OPS


def listing(recorder, lowering) -> list:
    """The lines of a recording, made while its tape is still there."""
    lines = []
    where = recorder.tape.lines
    guards = {}
    for guard in recorder.guards:
        guards.setdefault(guard.record, []).append(guard)
    for k in lowering.shown():
        if isinstance(k, str):
            lines.append(k)
            continue
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
        lines.append(f"%{k:<5} {name:<16} {operands:<18} {tuple(layout.shape)!s:<12} {layout.dtype.name:<8} {where.line(k)}")
        for guard in guards.get(k, ()):
            seen = guard.expected if guard.kind != "bytes" else "these values"
            lines.append(f"       guard: {guard.kind} is {seen} ({guard.line})")
    return lines
