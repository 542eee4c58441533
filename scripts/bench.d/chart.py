"""The figures as an SVG: for each scenario a bar of each server, with its quartiles as whiskers."""

import html

import figures
import table
from figures import Row

COLOURS = {  # of bars, on white and on black alike
    "ours": "#2f7ed8", "nginx": "#2e9e5b", "haproxy": "#d9822b", "floor": "#8a8f98",
    "before": "#74b3f0", "seed": "#a85cc4",
}
WIDTH, LABELS, VALUES = 900, 260, 170  # pixels: all, left of the bars, right of them
BAR, GAP, BETWEEN, TOP = 14, 4, 18, 84

STYLE = """
text { font: 13px system-ui, 'DejaVu Sans', sans-serif; fill: #1c1e21; }
.title { font-size: 17px; font-weight: 600; }
.small { font-size: 11px; fill: #5b6068; }
.page { fill: #ffffff; }
.whisker { stroke: #1c1e21; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e8eaed; }
  .small { fill: #a5abb3; }
  .page { fill: #14171a; }
  .whisker { stroke: #e8eaed; }
}
"""


def draw(rows: list[Row], machine: dict[str, str | int]) -> str:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.unit != "×":  # of those, longer would be better
            groups.setdefault(row.scenario, []).append(row)
    parts, top = [], TOP
    for title, members in groups.items():
        parts += _group(title, members, top)
        top += len(members) * (BAR + GAP) + BETWEEN
    programs = ", ".join(f"{key} {machine[key]}" for key in ("openssl", "nginx", "haproxy"))
    cores = f"{machine['virtual cores']} virtual cores"
    where = f"{machine['processor']}, {cores}, {machine['system']}, {programs}"
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" '
        f'viewBox="0 0 {WIDTH} {top}" role="img">',
        f"<title>What a request costs each server</title><style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{top}"/>',
        _text(16, 28, "What a request costs each server: shorter is better", "title"),
        _text(16, 46, "Median, whiskers at the quartiles of the rounds. Each group has its own "
              "scale; … is cut off. µs are CPU per request; at half load, latency.", "small"),
        *_legend(dict.fromkeys(row.server.partition(",")[0] for row in rows)),
    ]
    return "\n".join([*head, *parts, _text(16, top - 4, where, "small"), "</svg>"]) + "\n"


def _legend(names: dict[str, None]) -> list[str]:
    parts = []
    for number, name in enumerate(names):
        x = 16 + number * 100
        parts.append(f'<rect x="{x}" y="56" width="12" height="12" rx="2" fill="{_colour(name)}"/>')
        parts.append(_text(x + 18, 67, name))
    return parts


def _group(title: str, members: list[Row], top: int) -> list[str]:
    # 0.2.0 is so far off that the others could not be told apart beside it: its bar may be cut.
    compared = [row for row in members if row.server != "seed"] or members
    room = WIDTH - LABELS - VALUES
    scale = room / (max(figures.quartiles(row.values)[2] for row in compared) or 1)
    parts = [_text(16, top + BAR - 2, title)]
    for number, row in enumerate(members):
        low, middle, high = figures.quartiles(row.values)
        y = top + number * (BAR + GAP)
        bar, cut = min(middle * scale, room), high * scale > room + 1
        parts.append(
            f'<rect x="{LABELS}" y="{y}" width="{bar:.1f}" height="{BAR}" rx="2" '
            f'fill="{_colour(row.server)}"/>')
        if high > low and not cut:
            parts.append(_whisker(LABELS + low * scale, LABELS + high * scale, y + BAR / 2))
        label = f"{'… ' if cut else ''}{table.number(middle)} {row.unit} {row.server}"
        end = room if cut else max(middle, high) * scale
        parts.append(_text(LABELS + end + 8, y + BAR - 3, label))
    return parts


def _whisker(left: float, right: float, y: float) -> str:
    path = f"M{left:.1f} {y}H{right:.1f}M{left:.1f} {y - 4}v8M{right:.1f} {y - 4}v8"
    return f'<path class="whisker" fill="none" d="{path}"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{named}>{html.escape(text)}</text>'


def _colour(name: str) -> str:
    return COLOURS[name.partition(",")[0]]
