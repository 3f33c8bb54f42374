"""The picture: every workload a row, every library a mark, times as multiples of the gradient by hand on a log scale."""

from bench.report import timed

# library: (colour, marker); another form of one of these is a dot of its colour, what is not here is grey
MARKS = {
    "tapejit": ("#d62728", "o"),
    "tapejit into": ("#d62728", "D"),
    "tapejit nopython": ("#d62728", "s"),
    "tapejit eager": ("#ff9896", "o"),
    "JAX": ("#1f77b4", "^"),
    "PyTorch": ("#e377c2", "v"),
    "torch.compile": ("#e377c2", "<"),
    "CasADi": ("#2ca02c", "P"),
    "CasADi sparse": ("#98df8a", "P"),
    "ddx": ("#9467bd", "X"),
    "heyoka": ("#8c564b", "*"),
    "autograd": ("#7f7f7f", "+"),
    "XAD": ("#17becf", "x"),
    "C": ("#000000", "|"),
}


def mark(library):
    if library in MARKS:
        return MARKS[library]
    return MARKS.get(library.split()[0], ("#bbbbbb", ""))[0], "."


def draw(results, path):
    """Write the chart to ``path``; the suffix says which kind of picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    rows = [(name, timed(row)) for name, row in results["workloads"].items() if "hand" in timed(row)]
    with plt.rc_context({"svg.hashsalt": "tapejit", "font.size": 9}):
        figure, axes = plt.subplots(figsize=(10, 1.2 + 0.27 * len(rows)), layout="constrained")
        axes.axvline(1, color="black", linewidth=1)
        drawn = {}
        for y, (_, times) in enumerate(rows):
            for library, seconds in times.items():
                if library == "hand":
                    continue
                colour, marker = mark(library)
                drawn[library] = axes.scatter(
                    seconds / times["hand"], y, color=colour, marker=marker, s=42 if library.startswith("tapejit") else 30,
                    linewidths=1.3, zorder=4 if library.startswith("tapejit") else 3,
                )  # fmt: skip
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}" if x < 1e4 else f"{x:,.0f}".replace(",", " ")))
        axes.set_xlabel("time as a multiple of the gradient by hand; left is faster")
        axes.grid(axis="both", color="#e5e5e5", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        order = [name for name in (*MARKS, *drawn) if name in drawn]
        order = list(dict.fromkeys(order))
        figure.legend(
            [drawn[n] for n in order], order, loc="outside upper center", ncols=min(len(order), 7), frameon=False
        )
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)
        plt.close(figure)
    return path
