"""Bars as an SVG image, of the results of compare.py."""

COLORS = {"drun": "#2a6fbb", "transformers": "#e0873a", "llama.cpp": "#6aa84f"}
BAR, GAP, HEIGHT, LEFT, TOP, BOTTOM = 26, 30, 220, 60, 40, 60


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def text(x, y, words, anchor="middle", size=11):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}">{escaped(words)}</text>'


def svg(title, groups):
    """groups: [(label, {side: tokens per second}), ...]: a group of bars each, one bar for each side."""
    most = max(rate for _, rates in groups for rate in rates.values())
    body, x = [], LEFT
    for label, rates in groups:
        first = x
        for side, rate in rates.items():
            height = HEIGHT * rate / most
            top = TOP + HEIGHT - height
            body.append(f'<rect x="{x}" y="{top:.1f}" width="{BAR}" height="{height:.1f}" '
                        f'fill="{COLORS[side]}"/>')
            body.append(text(x + BAR / 2, top - 4, f"{rate:.0f}", size=10))
            x += BAR + 4
        for line, words in enumerate(label.split(", ")):
            body.append(text((first + x - 4) / 2, TOP + HEIGHT + 16 + 14 * line, words))
        x += GAP
    sides = dict.fromkeys(side for _, rates in groups for side in rates)
    for i, side in enumerate(sides):
        body.append(f'<rect x="{LEFT + 110 * i}" y="{TOP - 14}" width="10" height="10" '
                    f'fill="{COLORS[side]}"/>')
        body.append(text(LEFT + 14 + 110 * i, TOP - 5, side, "start"))
    width = max(x, LEFT + 110 * len(sides))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{TOP + HEIGHT + BOTTOM}" '
            f'font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n'
            + text(LEFT, 16, title, "start", 13) + "\n" + "\n".join(body) + "\n</svg>\n")
