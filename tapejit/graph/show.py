"""A graph as text and as a picture."""

from tapejit.graph.rewrite import reachable
from tapejit.graph.verify import shown


def graph_text(graph, roots) -> str:
    """The nodes that ``roots`` depend on, a line each."""
    return "\n".join(map(shown, reachable(graph.nodes, roots)))


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
