"""What a replayed function shows of itself."""

from html import escape

from tapejit.compile.steptext import lowered_text
from tapejit.eager.html import table
from tapejit.graph.show import dot_text


class Inspected:
    """The statistics, the tape and the optimised program of a replayed function."""

    def stats(self) -> dict:
        """Calls by kind, and per signature its paths with records, guards, compile seconds and the reason if eager."""
        signatures = []
        for signature in self._every_signature():
            paths = [
                {
                    "records": p.frozen.records,
                    "guards": len(p.frozen.guards),
                    "compiled": p.machine is not None,
                    "seconds": round(p.seconds, 4),
                }
                for p in signature.paths.programs or signature.paths.counted
            ]
            if paths or signature.paths.eager:  # else nothing was recorded for it yet
                signatures.append({"arguments": signature.key[1], "paths": paths, "eager": signature.paths.eager})
        return {"policy": self.policy, "calls": dict(self.calls), "signatures": signatures}

    def _repr_html_(self) -> str:
        """In a notebook: how often it was called in which way, and its paths."""
        found, rows = self.stats(), []
        for number, signature in enumerate(found["signatures"]):
            for path in signature["paths"]:
                rows.append([number, path["records"], path["guards"], path["compiled"], path["seconds"]])
            if signature["eager"]:
                rows.append([number, f"eager: {signature['eager']}", "", "", ""])
        calls = ", ".join(f"{count} {kind}" for kind, count in found["calls"].items() if count) or "no calls yet"
        head = ("signature", "records", "guards", "compiled", "seconds")
        return f"<div>{escape(repr(self))}: {escape(calls)}{table(rows, head) if rows else ''}</div>"

    @property
    def tape(self):
        """The tape of the path last used; ``print`` it."""
        return _Text("\n".join(self._shown().frozen.listing))

    def _shown(self):
        signature = self._last
        if signature is None or signature.latest() is None:
            raise RuntimeError(f"{self!r} has recorded nothing yet; call it once")
        return signature.latest()

    def lower(self) -> str:
        """The optimised program of the path last used, as text: what is fused with what."""
        program = self._shown()
        program.compile()
        return lowered_text(program)

    def dot(self) -> str:
        """The graph of the path last used in Graphviz's DOT language."""
        return dot_text(self._shown())


class _Text(str):
    """Text that shows itself as it is."""

    __slots__ = ()

    def __repr__(self):
        return str(self)
