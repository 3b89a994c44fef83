"""The part of the report about how ours behaves: pictures and tables of `behaviour`'s answer."""

from functools import partial

from .behaviour import slope
from .pictures import OP_COLOURS, draw
from .table import show_time


def draw_scaling(scaling: dict, theme: str) -> str:
    """Speed-up over the number of threads; the dotted line is as many times as threads."""

    def fill(axes, colours):
        counts = [int(n) for n in next(iter(scaling.values()))]
        axes.plot(counts, counts, ":", color=colours["ink"], lw=1.2)
        for colour, (key, times) in zip(OP_COLOURS, scaling.items(), strict=False):
            speed = [times["1"] / seconds for seconds in times.values()]
            axes.plot(counts, speed, "o-", color=colour, lw=2, ms=6, label=key)
        axes.set_xticks(counts)
        axes.set_ylim(bottom=0)
        axes.grid(color=colours["grid"], lw=0.6)
        axes.set_xlabel("threads")
        axes.set_ylabel("times as fast as one thread")
        axes.legend(loc="upper left", fontsize=9)

    return draw(fill, theme, 4.6)


def draw_sizes(sizes: dict, theme: str) -> str:
    """Seconds over size, both logarithmic; the slope of the last three points in the legend."""

    def fill(axes, colours):
        for colour, (op, points) in zip(OP_COLOURS, sizes.items(), strict=False):
            label = f"{op}: n^{slope(points):.2f}"
            axes.plot(*zip(*points, strict=True), "o-", color=colour, lw=2, ms=5, label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(color=colours["grid"], lw=0.6)
        axes.set_xlabel("size n")
        axes.set_ylabel("seconds, one thread")
        axes.legend(loc="upper left", fontsize=9)

    return draw(fill, theme, 5.2)


def load_table(load: dict):
    header = ["case", "alone", "beside a busy process", "ratio", "95th percentile"]
    return header, [
        [key, show_time(alone), show_time(loaded), f"{loaded / alone:.2f}", show_time(late)]
        for key, (alone, loaded, late) in load.items()
    ]


def first_call_table(first_calls: dict):
    header = ["function", "first call", "second call"]
    return header, [
        [name, show_time(first), show_time(second)] for name, (first, second) in first_calls.items()
    ]


def sections(found: dict, html_table, html_picture, has_pictures: bool) -> list[str]:
    """HTML; the two functions that make tables and pictures are the report's."""
    parts = []
    if has_pictures:
        parts += [
            "<h2>Threads</h2>",
            html_picture(
                partial(draw_scaling, found["scaling"]),
                "Speed-up over the number of threads, a line for each case",
            ),
            "<h2>Cost against size</h2>",
            '<p class="note">One thread. The power of n is that of the last three points.</p>',
            html_picture(
                partial(draw_sizes, found["sizes"]),
                "Seconds over size in logarithmic scales, a line for each operation",
            ),
        ]
    return [
        *parts,
        "<h2>Beside a busy process</h2>",
        '<p class="note">All threads, while another process keeps one CPU busy.</p>',
        html_table(*load_table(found["load"])),
        "<h2>First calls</h2>",
        '<p class="note">What takes a function of the caller is compiled by Numba at the first '
        "call; everything else is compiled ahead.</p>",
        html_table(*first_call_table(found["first_calls"])),
    ]
