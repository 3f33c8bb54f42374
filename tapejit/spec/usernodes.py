"""Two ops for functions whose derivative the user states: how their calls stand on the tape (see ``eager.usergraph``).

A call is a node: up to three operands, one of which may be the next node, with more of them. A result is a view of what the
function computed (x), and its second operand is the node (y). The results' rule hands their adjoints to the call; the node's
rule, which runs after those of all results, asks the call for the adjoints of its operands.
"""

from dataclasses import fields

from tapejit.spec.structured import view
from tapejit.spec.table import _add
from tapejit.spec.vocabulary import ops


def _as_view(name, rules, needs, rule):
    """A row whose value is somebody else's memory, as a view's is."""
    row = {f.name: getattr(view, f.name) for f in fields(view) if f.name not in ("code", "traced")}
    row.update(name=name, label=name.capitalize(), arity=len(rules), rules=rules, needs=(needs,) * len(rules))
    row.update(alias_of=view, joint=rule, scatter=False, identity=())
    return _add(**row)


def _result_rule(r, g, x, y, z, out):
    return None, ops.arrive(r, g, y)


def _node_rule(r, g, x, y, z, out):
    return ops.leave(r, out)


result = _as_view("function", (None, _result_rule), ("y",), _result_rule)
node = _as_view("node", (_node_rule,) * 3, ("out",), _node_rule)
