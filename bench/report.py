"""From the results to text: the terminal, ``docs/benchmarks.md``, and the README's part between its markers.

Nothing is measured here: everything is read from ``docs/bench.json``.
"""

import math
import textwrap

from bench import scaling
from bench.collect import RESULTS, ROOT, read

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
EAGER = "tapejit eager"
REFERENCES = ("hand", "C")  # no peers: gradients derived by hand

README = (
    "Value and gradient in float64, one thread unless the row says otherwise, libraries in turn, medians. By hand: a gradient "
    "derived by hand and compiled with Numba. Fastest form: results written into given arrays, or another way in. "
    "Every peer is in the fastest form that its documentation suggests. Each row is one run, rows may be of different days: "
    "compare within a row. All libraries, their forms, first calls, memory, "
    "scaling, cold starts, and the rows that are lost: [docs/benchmarks.md](docs/benchmarks.md)."
)
SOURCE = (
    "Written by `python -m bench report` from `docs/bench.json`; not to be edited. How it is measured, and how to add a "
    "workload or a peer: `bench/README.md`."
)
TERMS = (
    "Times are medians of a value and gradient in microseconds, float64, one thread unless a row says otherwise. *By hand* is "
    "a gradient derived by hand and compiled with Numba, called from Python with a fresh result: of that Numba's own call is "
    "about 0.6 µs, which the rows inside compiled code do not have. *First call*: preparation and first result in a process "
    "of its own, after the import, with tapejit's engine on disk. *Peak*: the rise of resident memory by then, compilers "
    "included."
)
LOST = (
    "Rows where a peer's fastest form beats tapejit's fastest form, rows whose plain call misses its aim, and results that "
    "could not be had."
)
SCALING = "The exponent is fitted to times from a thousand on; memory is the slope of the peak between the two largest sizes."


# --- numbers --------------------------------------------------------------------------------------------------------


def digits(value):
    """Three significant digits, thousands apart."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    if value >= 99.95:
        return f"{value:,.0f}".replace(",", " ")
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(decimals, 4)}f}"


def microseconds(seconds):
    return digits(seconds * 1e6)


def mebibytes(count):
    return f"{count / 2**20:,.0f}".replace(",", " ")


# --- what a row says ------------------------------------------------------------------------------------------------------


def timed(row):
    """``{library: seconds}`` of those that have a time."""
    return {name: o["seconds"] for name, o in row["libraries"].items() if "seconds" in o}


def ours(name):
    return name.startswith("tapejit")


def plain_form(row):
    """The name and seconds of tapejit's plain call: "tapejit", else the first of its forms."""
    times = {n: s for n, s in timed(row).items() if ours(n)}
    name = "tapejit" if "tapejit" in times else next(iter(times), None)
    return name, times.get(name)


def best_form(row):
    """The fastest of tapejit's forms; the eager one counts only where there is no other."""
    times = {n: s for n, s in timed(row).items() if ours(n)}
    compiled = {n: s for n, s in times.items() if n != EAGER} or times
    name = min(compiled, key=compiled.get, default=None)
    return name, compiled.get(name)


def best_peer(row):
    times = {n: s for n, s in timed(row).items() if not ours(n) and n not in REFERENCES}
    name = min(times, key=times.get, default=None)
    return name, times.get(name)


def reason(outcome):
    """Why there is no time: "skipped: ...", "wrong: ...", "failed: ..."."""
    kind = next(k for k in ("skipped", "wrong", "failed") if k in outcome)
    return f"{kind}: {outcome[kind]}"


def busy(outcome, row):
    """A remark where the processor's time is not that of the threads allowed: more threads, or kept waiting by others."""
    cores = outcome["cores"]
    if cores > 1.2 * row["threads"]:
        return f"used {cores} cores"
    return f"waited: {cores} of a core" if cores < 0.85 else ""


def verdicts(results):
    """Sentences about every row where tapejit loses to a peer or misses the row's bar, and about wrong results."""
    found = []
    for name, row in results["workloads"].items():
        hand = timed(row).get("hand")
        form, seconds = best_form(row)
        peer, peer_seconds = best_peer(row)
        if seconds and peer and peer_seconds < seconds:
            found.append(
                f"{name}: {peer} takes {microseconds(peer_seconds)} µs, {form} {microseconds(seconds)} µs, "
                f"{digits(seconds / peer_seconds)} times as long."
            )
        form, seconds = plain_form(row)
        if seconds and hand and row["target"] and seconds > row["target"] * hand:
            found.append(f"{name}: {form} takes {digits(seconds / hand)} times as long as by hand; the aim is {row['target']}.")
        found += [f"{name}: {n}, {reason(o)}." for n, o in row["libraries"].items() if "wrong" in o or "failed" in o]
    return found


# --- the terminal ---------------------------------------------------------------------------------------------------


def plain(name, row):
    """One workload for the terminal."""
    hand = timed(row).get("hand")
    lines = [f"{name}  [{row['group']}]"]
    for library, outcome in row["libraries"].items():
        if "seconds" not in outcome:
            lines.append(f"  {library:18} {reason(outcome)}")
            continue
        ratio = f"{digits(outcome['seconds'] / hand):>8} x hand" if hand else ""
        first = f"   first {outcome['first']:.2f} s" if "first" in outcome else ""
        first += f", {mebibytes(outcome['memory'])} MiB" if "memory" in outcome else ""
        cores = f"   {busy(outcome, row)}" if busy(outcome, row) else ""
        lines.append(f"  {library:18} {microseconds(outcome['seconds']):>10} us {ratio}{first}{cores}")
    return "\n".join(lines)


# --- Markdown -------------------------------------------------------------------------------------------------------


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def against(seconds, peer_seconds):
    """tapejit against a peer, in words that hide nothing."""
    if not seconds or not peer_seconds:
        return "-"
    ratio = peer_seconds / seconds
    return f"{digits(ratio)} x faster" if ratio >= 1 else f"**{digits(1 / ratio)} x slower**"


def compact(results):
    """One line per workload: by hand, tapejit, and the best peer by name."""
    rows = []
    for name, row in results["workloads"].items():
        hand = timed(row).get("hand")
        _, seconds = plain_form(row)
        form, best = best_form(row)
        peer, peer_seconds = best_peer(row)
        if seconds is None:
            continue
        label = f" ({form.removeprefix('tapejit ')})" if form not in ("tapejit", EAGER) else ""
        rows.append(
            [
                name,
                microseconds(hand) if hand else "-",
                microseconds(seconds),
                microseconds(best) + label,
                digits(best / hand) if hand else "-",
                f"{peer} {microseconds(peer_seconds)}" if peer else "-",
                against(best, peer_seconds),
            ]
        )
    head = ["value and gradient, µs", "by hand", "tapejit", "its fastest form", "/ hand", "best peer", "against it"]
    return table(head, rows)


def setting(results):
    """The machine and the versions, in a sentence."""
    m = results["machine"]
    features = f" with {m['features']}" if m["features"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    computer = f"{m['processor']}{features}, {m['cores']} cores, {m['system']}, Python {m['python']}"
    return f"{computer}; {versions}. {results['date']}."


def readme_part(results):
    return "\n".join(
        [
            BEGIN,
            *textwrap.wrap(README, 120),
            "",
            compact(results),
            "",
            "![Times as multiples of the gradient by hand, a row per workload, a mark per library](docs/benchmarks.svg)",
            "",
            *textwrap.wrap(setting(results), 120),
            "Written by `python -m bench report`, from its own measurements.",
            END,
        ]
    )


def between_markers(text, part):
    """``text`` with what stands between the markers replaced."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"expected {BEGIN} and {END} once each; put them where the table belongs")
    return text[: text.index(BEGIN)] + part + text[text.index(END) + len(END) :]


def details(name, row):
    """All that was measured of one workload."""
    hand = timed(row).get("hand")
    rows = []
    for library, outcome in row["libraries"].items():
        if "seconds" not in outcome:
            rows.append([library, "-", "-", "-", "-", reason(outcome)])
            continue
        cores = f"; {busy(outcome, row)}" if busy(outcome, row) else ""
        rows.append(
            [
                library,
                microseconds(outcome["seconds"]),
                digits(outcome["seconds"] / hand) if hand else "-",
                f"{outcome['first']:.2f}" if "first" in outcome else "-",
                mebibytes(outcome["memory"]) if "memory" in outcome else "-",
                (outcome.get("form") or "") + cores,
            ]
        )
    threads = f", {row['threads']} threads" if row["threads"] > 1 else ""
    note = f"\n{row['note']}\n" if row.get("note") else ""
    head = ["library", "µs", "/ hand", "first call s", "peak MiB", "form"]
    return f"### {name}{threads}\n{note}\n{table(head, rows)}\n"


def scaling_part(found):
    """Times by size, the fitted exponents, bytes per element."""
    titles = {
        "Rosenbrock": ("Rosenbrock's function of n variables, seconds by n", "bytes per variable"),
        "recurrence": ("A scalar recurrence, seconds by the number of records", "bytes per record"),
        "threads": ("100 000 Black-Scholes gradients in prange, seconds by threads", None),
    }
    parts = []
    for kind, libraries in found.items():
        title, each = titles[kind]
        sizes = sorted({int(s) for points in libraries.values() for s in points if s.isdigit()})
        rows = []
        for library, points in libraries.items():
            cells = [points.get(str(n), {}) for n in sizes]
            row = [library, *(f"{c['seconds']:.2g}" if "seconds" in c else ("failed" if c else "-") for c in cells)]
            if each:
                slope, memory = scaling.exponent(points), scaling.bytes_each(points)
                row += [f"{slope:.2f}" if slope is not None else "-", digits(memory) if memory is not None else "-"]
            rows.append(row)
        head = ["library", *(f"{n:,}".replace(",", " ") for n in sizes), *(["exponent", each] if each else [])]
        parts.append(f"### {title}\n\n{table(head, rows)}\n")
    return "\n".join(parts)


def coldstart_part(found):
    rows = []
    for library, o in found.items():
        if "failed" in o:
            rows.append([library, "-", "-", f"failed: {o['failed']}"])
        else:
            rows.append([library, f"{o['import']:.3f}", f"{o['first']:.3f}", f"{o['second']:.3f}"])
    return table(["library", "import s", "first gradient, nothing cached, s", "first gradient of a later process, s"], rows)


def document(results):
    """``docs/benchmarks.md``."""
    lost = verdicts(results)
    groups = {}
    for name, row in results["workloads"].items():
        groups.setdefault(row["group"], []).append(details(name, row))
    parts = [
        "# Benchmarks",
        SOURCE,
        setting(results),
        TERMS,
        compact(results),
        "![Times as multiples of the gradient by hand](benchmarks.svg)",
        "## Where tapejit loses",
        LOST,
        "\n".join(f"- {sentence}" for sentence in lost) if lost else "Nowhere in this run.",
    ]
    for group, tables in groups.items():
        parts += [f"## {group[0].upper()}{group[1:]}", "\n".join(tables).rstrip()]
    if results.get("coldstart"):
        parts += [
            "## Cold start",
            "The import in a bare interpreter, and the first gradient of a function of twenty ops on ten numbers.",
            coldstart_part(results["coldstart"]),
        ]
    if results.get("scaling"):
        parts += [
            "## Scaling",
            SCALING,
            scaling_part(results["scaling"]).rstrip(),
        ]
    return "\n\n".join(parts) + "\n"


def write_all(path=RESULTS):
    """Write the document, the chart and the README's part; the paths written."""
    from bench.chart import draw

    results = read(path)
    if not results["workloads"]:
        raise SystemExit("nothing has been measured: run `python -m bench report`")
    docs, readme = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
    docs.write_text(document(results))
    readme.write_text(between_markers(readme.read_text(), readme_part(results)))
    picture = draw(results, ROOT / "docs" / "benchmarks.svg")
    return [docs, readme, picture]
