"""chart.py: a line chart as SVG with nothing but strings; readable on light and on dark paper."""
import math

# (light, dark) for each series in order: blue, orange, green, violet, yellow, pink, grey.
COLORS = [("#2a78d6", "#5c9dec"), ("#d9541f", "#f08a5d"), ("#0f8a5f", "#3cc394"), ("#7a4fc9", "#a98bea"), ("#9a7400", "#d8b03c"),
          ("#c2387e", "#e884b5"), ("#8a8f98", "#777d86")]
LEFT, RIGHT, TOP, BOTTOM = 62, 180, 64, 46


def _style():
    light = "".join(f".c{i}{{stroke:{c[0]};fill:{c[0]}}}" for i, c in enumerate(COLORS))
    dark = "".join(f".c{i}{{stroke:{c[1]};fill:{c[1]}}}" for i, c in enumerate(COLORS))
    return ("text{font:13px system-ui,sans-serif;fill:#333;stroke:none}.title{font-size:16px;font-weight:600}"
            ".quiet{fill:#666}.grid{stroke:#ddd}.paper{fill:#fff}.line{fill:none;stroke-width:2}" + light +
            "@media(prefers-color-scheme:dark){text{fill:#ddd}.quiet{fill:#aaa}.grid{stroke:#3a3a3a}.paper{fill:#161616}" +
            dark + "}.line{fill:none!important}text.label{stroke:none}")


def _escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;")


def _ticks(low, high):
    """Powers of ten that lie in, or just around, the values."""
    return [10 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def number(value):
    if value >= 10000:
        return f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _spread(wanted, step):
    """Moves label positions apart so that none overlap; keeps their order."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = {}
    last = -1e9
    for i in order:
        last = max(wanted[i], last + step)
        placed[i] = last
    return [placed[i] for i in range(len(wanted))]


def _head(title, subtitle, width, height):
    return [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{_escape(title)}"><style>{_style()}</style><rect class="paper" width="{width}" height="{height}"/>',
            f'<text class="title" x="16" y="26">{_escape(title)}</text>',
            f'<text class="quiet" x="16" y="46">{_escape(subtitle)}</text>']


def lines(title, subtitle, x_name, xs, series, width=720, height=400):
    """xs: values along x, evenly spaced; series: [(name, [y or None for each x], index into COLORS)], y on a logarithmic
    axis.  The same thing keeps its colour from chart to chart."""
    ys = [y for _, values, _ in series for y in values if y]
    ticks = _ticks(min(ys), max(ys))
    inner_w, inner_h = width - LEFT - RIGHT, height - TOP - BOTTOM
    span = math.log10(ticks[-1] / ticks[0]) or 1

    def at(i, y):
        return (LEFT + inner_w * (i / max(len(xs) - 1, 1)), TOP + inner_h * (1 - math.log10(y / ticks[0]) / span))

    out = _head(title, subtitle, width, height)
    for tick in ticks:
        y = at(0, tick)[1]
        out.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + inner_w}" y1="{y:.1f}" y2="{y:.1f}"/>'
                   f'<text class="quiet" text-anchor="end" x="{LEFT - 8}" y="{y + 4:.1f}">{number(tick)}</text>')
    for i, x in enumerate(xs):
        out.append(f'<text class="quiet" text-anchor="middle" x="{at(i, ticks[0])[0]:.1f}" '
                   f'y="{height - BOTTOM + 18}">{_escape(x)}</text>')
    out.append(f'<text class="quiet" text-anchor="middle" x="{LEFT + inner_w / 2:.1f}" y="{height - 8}">{_escape(x_name)}</text>')
    ends = []
    for name, values, n in series:
        points = [at(i, y) for i, y in enumerate(values) if y]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        out.append(f'<polyline class="line c{n}" points="{path}"/>')
        out += [f'<circle class="c{n}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points]
        ends.append((points[-1], name, [y for y in values if y][-1], n))
    for ((x, _), name, last, n), y in zip(ends, _spread([end[0][1] for end in ends], 17)):
        out.append(f'<circle class="c{n}" cx="{x + 14:.1f}" cy="{y:.1f}" r="4"/>'
                   f'<text class="label" x="{x + 22:.1f}" y="{y + 4:.1f}">{_escape(name)} {number(last)}</text>')
    return "\n".join(out) + "\n</svg>\n"


def shares(title, subtitle, parts, rows, width=720):
    """One bar for each of rows [(name, [amount of each part])], all of the same length, divided among the parts."""
    legend_rows = (len(parts) + 3) // 4
    top, high, gap = TOP + 22 * legend_rows, 30, 24
    height = top + len(rows) * (high + gap) + 8
    out = _head(title, subtitle, width, height)
    for i, part in enumerate(parts):
        x, y = 16 + i % 4 * (width - 32) // 4, TOP + 8 + i // 4 * 22
        out.append(f'<rect class="c{i}" x="{x}" y="{y - 10}" width="12" height="12"/><text x="{x + 18}" y="{y + 1}">{_escape(part)}</text>')
    for n, (name, amounts) in enumerate(rows):
        x, y, whole = 16.0, top + n * (high + gap), sum(amounts) or 1
        out.append(f'<text x="16" y="{y + 12}">{_escape(name)}</text>')
        for i, amount in enumerate(amounts):
            wide = (width - 32) * amount / whole
            out.append(f'<rect class="c{i}" x="{x:.1f}" y="{y + 18}" width="{wide:.1f}" height="{high - 12}"/>')
            x += wide
    return "\n".join(out) + "\n</svg>\n"
