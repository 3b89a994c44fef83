"""The pictures of the report as SVG text, once in light and once in dark.

They are narrow with large letters, so that they can be read on a phone, and text is drawn as
outlines, so that they look the same everywhere.
"""

import io

from .cases import FAMILY_OF

WIDTH = 6.4  # inches
LEAST_RATIO, LARGEST_RATIO = 0.1, 200.0
THEMES = {
    "light": {"ink": "#1d2430", "grid": "#d5d9e0", "paper": "#ffffff", "good": "#1f77b4"},
    "dark": {"ink": "#e4e8ee", "grid": "#3a4250", "paper": "#161b22", "good": "#58a6ff"},
}
SHORT = "#e07a1f"  # ours is the slower one
# All differ from each other on white and on black.
OP_COLOURS = ("#1f8fd6", "#e07a1f", "#2ca05a", "#c2509b", "#8a6bd1", "#b8860b", "#d04848")
OTHER_COLOURS = ("#17a2a8", "#8a8f98", "#9acd32", "#e58fb8", "#6b4f3a")
FAMILY_COLOURS = dict(
    zip(sorted(set(FAMILY_OF.values())), OP_COLOURS + OTHER_COLOURS, strict=False)
)


def draw(draw_on, theme: str, height: float) -> str:
    """Let `draw_on(axes, colours)` fill a picture; its SVG text."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    colours = THEMES[theme]
    style = {
        "font.size": 12,
        "svg.fonttype": "path",
        "svg.hashsalt": "bench-report",
        "text.color": colours["ink"],
        "axes.labelcolor": colours["ink"],
        "axes.edgecolor": colours["grid"],
        "axes.facecolor": colours["paper"],
        "xtick.color": colours["ink"],
        "ytick.color": colours["ink"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
    with rc_context(style):
        figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor=colours["paper"])
        FigureCanvasSVG(figure)
        draw_on(figure.add_subplot(), colours)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def clip(ratio: float | None) -> float | None:
    """Into the drawn range: one outlier must not flatten the others (its figure is written)."""
    return ratio and min(max(ratio, LEAST_RATIO), LARGEST_RATIO)


def draw_ratios(records: list[dict], theme: str) -> str:
    """Horizontal bars: how many times the best peer's time ours fits in, on a log scale.

    The bar is the steady regime, the ring the isolated one.
    """
    drawn = [record for record in records if record["best"].get("steady")]
    several = len({record["threads"] for record in drawn}) > 1

    def fill(axes, colours):
        ratios = [record["best"]["steady"][1] for record in drawn]
        isolated = [record["best"].get("isolated", (None, None))[1] for record in drawn]
        figures = [clip(ratio) for ratio in [*ratios, *isolated] if ratio]
        left, right = min([0.5, *figures]) / 1.15, max([2.0, *figures]) * 1.15
        for i, (record, ratio, alone) in enumerate(zip(drawn, ratios, isolated, strict=True)):
            colour = colours["good"] if ratio >= 1 else SHORT
            figure = f"{ratio:.2f}× {record['best']['steady'][0]}"
            ratio, alone = clip(ratio), clip(alone)
            axes.barh(i, ratio - 1, left=1, height=0.42, color=colour)
            if alone:
                axes.plot(alone, i, "o", ms=7, mfc="none", mec=colours["ink"], mew=1.4)
            name = f"{record['op']} {record['label']}"
            if several:
                name += f", {record['threads']} thr."
            patch = {"facecolor": colours["paper"], "edgecolor": "none", "pad": 1}
            axes.text(left, i - 0.42, name, fontsize=11, va="center", bbox=patch)
            axes.text(right, i - 0.42, figure, fontsize=11, va="center", ha="right", bbox=patch)
        axes.axvline(1, color=colours["ink"], lw=1)
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        axes.set_ylim(len(drawn) - 0.4, -0.75)
        ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 500) if left <= t <= right]
        axes.set_xticks(ticks, [f"{t:g}×" for t in ticks])
        axes.set_xticks([], minor=True)
        axes.set_yticks([])
        axes.grid(axis="x", color=colours["grid"], lw=0.6)
        axes.set_axisbelow(True)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("time of the fastest peer / our time (right of 1: ours is faster)")

    return draw(fill, theme, 1.0 + 0.46 * max(1, len(drawn)))


def draw_roofline(records: list[dict], limits: dict, n_threads: int, theme: str) -> str:
    """Attained rate over arithmetic intensity, a dot per case, under the roofs of the machine.

    Colours tell the families of operations apart: there are too many operations.
    """
    drawn = [
        record
        for record in records
        if record["threads"] == n_threads
        and record["ours"].get("steady")
        and not record["is_overhead"]
    ]
    points = [(r["flops"] / r["bytes"], r["flops"] / r["ours"]["steady"] / 1e9, r) for r in drawn]

    def fill(axes, colours):
        left = min([0.5, *(x for x, _, _ in points)]) / 1.6
        right = max([100.0, *(x for x, _, _ in points)]) * 1.6
        copies = [rate / 1e9 for _, rate in limits["copy"][str(n_threads)]]
        peaks = {d: rates[str(n_threads)] / 1e9 for d, rates in limits["fma"].items()}
        xs = [left * (right / left) ** (i / 200) for i in range(201)]
        for dtype, dashes in (("float32", "-"), ("float64", "--")):
            roof = [min(peaks[dtype], x * max(copies)) for x in xs]
            axes.plot(xs, roof, dashes, color=colours["ink"], lw=1.5)
            ridge = peaks[dtype] / max(copies)
            axes.text(4 * ridge, peaks[dtype] * 1.07, f"{dtype} peak", fontsize=11)
        slow_roof = [(x, x * min(copies)) for x in xs if x * min(copies) <= max(peaks.values())]
        axes.plot(*zip(*slow_roof, strict=True), ":", color=colours["ink"], lw=1.2)
        for x, y, record in points:
            shape = "s" if record["dtype"] == "float64" else "o"
            colour = FAMILY_COLOURS[FAMILY_OF[record["op"]]]
            axes.plot(x, y, shape, ms=8, color=colour, mec=colours["paper"], mew=0.8)
        lowest = min([min(peaks.values()) / 50, *(y for _, y, _ in points)])
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(left, right)
        axes.set_ylim(lowest / 2, max(peaks.values()) * 2)
        axes.grid(color=colours["grid"], lw=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel("operations per byte moved")
        axes.set_ylabel("GFLOP/s")
        families = {FAMILY_OF[record["op"]] for record in drawn}
        for family, colour in FAMILY_COLOURS.items():
            if family in families:
                axes.plot([], [], "o", ms=8, color=colour, label=family)
        if families:
            axes.figure.legend(loc="outside lower center", ncols=3, fontsize=11)

    return draw(fill, theme, 6.2)


def draw_neighbours(queries, neighbours, theme: str) -> str:
    """Images in rows: a query, a gap, and its nearest ones from left to right."""
    import numpy as np

    n_queries, k, height, width = neighbours.shape
    gap = 2
    picture = np.full((n_queries * (height + gap) - gap, (k + 1) * (width + gap) + gap), np.nan)
    for row, query in enumerate(queries):
        top = row * (height + gap)
        picture[top : top + height, :width] = query
        for at, image in enumerate(neighbours[row]):
            left = (at + 1) * (width + gap) + gap
            picture[top : top + height, left : left + width] = image

    def fill(axes, colours):
        axes.imshow(picture, cmap="gray" if theme == "dark" else "gray_r", interpolation="nearest")
        axes.set_xticks([width / 2, (k + 3) * (width + gap) / 2], ["query", "nearest first"])
        axes.set_yticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    return draw(fill, theme, 4.0)


def draw_losses(curves: dict[str, list[float]], theme: str) -> str:
    """Loss over epochs, a line per method; the axis of the losses is logarithmic.

    A loss that does not change is where another library arrives: dotted.
    """

    def fill(axes, colours):
        for colour, (name, losses) in zip(OP_COLOURS, curves.items(), strict=False):
            style = {"ls": ":", "color": colours["ink"]} if len(set(losses)) == 1 else {}
            axes.plot(
                range(1, len(losses) + 1), losses, **{"lw": 2, "color": colour, **style}, label=name
            )
        axes.set_yscale("log")
        axes.grid(color=colours["grid"], lw=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel("epochs (L-BFGS: iterations)")
        axes.set_ylabel("loss")
        axes.legend(loc="upper right", fontsize=11)

    return draw(fill, theme, 4.2)
