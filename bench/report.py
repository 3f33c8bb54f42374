"""From the results to text."""


def microseconds(seconds):
    """Three digits, in microseconds."""
    value = seconds * 1e6
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


def plain(name, row):
    """One workload for the terminal."""
    libraries = row["libraries"]
    hand = libraries.get("hand", {}).get("seconds")
    lines = [f"{name}  [{row['group']}]"]
    for library, outcome in libraries.items():
        if "seconds" not in outcome:
            kind, reason = next((k, outcome[k]) for k in ("skipped", "wrong", "failed") if k in outcome)
            lines.append(f"  {library:18} {kind}: {reason}")
            continue
        ratio = f"{outcome['seconds'] / hand:8.2f} x hand" if hand else ""
        first = f"   first {outcome['first']:.2f} s" if "first" in outcome else ""
        first += f", {outcome['memory'] / 2**20:.0f} MiB" if "memory" in outcome else ""
        cores = f"   {outcome['cores']} cores" if outcome["cores"] > 1.2 * row["threads"] else ""
        lines.append(f"  {library:18} {microseconds(outcome['seconds']):>10} us {ratio}{first}{cores}")
    return "\n".join(lines)
