"""What paths descents take: y = x² by three step sizes, Rosenbrock's valley by three momenta.

python -m benchmarks.descents [--json]
"""

import json
import sys
import time

import numpy as np

from . import pictures
from .table import print_table, show_time

RATES = (0.03, 0.4, 0.95)  # crawls, arrives, overshoots at every step
PARABOLA_START, PARABOLA_STEPS = -1.8, 25
VALLEY_START, VALLEY_MINIMUM = (-1.2, 1.6), (1.0, 1.0)
VALLEY_RATE, VALLEY_STEPS = 5e-4, 20_000
MOMENTA = {0.0: 200, 0.9: 20, 0.99: 5}  # and how many steps are a point of the picture
TOL = 1e-4


def rosenbrock(x):
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def landscape(x, valley):
    """Rosenbrock's function where valley is 1, x² where it is 0: compiled once for both."""
    steep = x[1] - x[0] ** 2
    return valley * ((1.0 - x[0]) ** 2 + 100.0 * steep**2) + (1.0 - valley) * x[0] ** 2


def descend(start, valley, every, **options) -> dict:
    """A point of the path every so many steps; the seconds are those of a descent unwatched."""
    from fastmath_ml.optim import gradient_descent

    points = [list(start)]
    options = {"args": (valley,), "method": "momentum", "tol": TOL, **options}
    gradient_descent(
        landscape,
        start,
        callback=lambda state: points.append(state.x.tolist()),
        callback_every=every,
        **options,
    )
    begin = time.perf_counter()
    result = gradient_descent(landscape, start, **options)
    return {
        "path": points,
        "value": float(result.fun),
        "steps": int(result.n_iter),
        "converged": bool(result.converged),
        "seconds": time.perf_counter() - begin,
    }


def run_descents() -> dict:
    parabola = {"max_iter": PARABOLA_STEPS, "momentum": 0.0}
    valley = {"max_iter": VALLEY_STEPS, "lr": VALLEY_RATE}
    return {
        "parabola": {
            f"step size {rate:g}": descend([PARABOLA_START, 0.0], 0.0, 1, lr=rate, **parabola)
            for rate in RATES
        },
        "valley": {
            f"momentum {momentum:g}": descend(
                list(VALLEY_START), 1.0, every, momentum=momentum, **valley
            )
            for momentum, every in MOMENTA.items()
        },
    }


def descents_table(found: dict) -> tuple[list[str], list[list[str]]]:
    header = ["descent", "steps", "value at the end", "gradient below 1e-4", "time"]
    return header, [
        [
            f"{title}, {name}",
            str(one["steps"]),
            f"{one['value']:.1e}",
            "yes" if one["converged"] else "no",
            show_time(one["seconds"]),
        ]
        for title, part in (("x²", found["parabola"]), ("Rosenbrock", found["valley"]))
        for name, one in part.items()
    ]


def draw_parabola(found: dict, theme: str) -> str:
    """The parabola, and where each step size stands after each step."""

    def fill(axes, colours):
        x = np.linspace(-2, 2, 200)
        axes.plot(x, x * x, color=colours["ink"], lw=1.2)
        for lift, (colour, (name, one)) in enumerate(
            zip(pictures.OP_COLOURS, found["parabola"].items(), strict=False)
        ):
            # Drawn a little above one another, for they tread on the same curve.
            at = np.array(one["path"])[:, 0]
            axes.plot(at, at * at + 0.15 * lift, "o-", color=colour, lw=1.4, ms=4, label=name)
        axes.grid(color=colours["grid"], lw=0.6)
        axes.set_axisbelow(True)
        axes.set_ylim(top=5.5)
        axes.set_xlabel("x")
        axes.set_ylabel("x² (paths drawn apart)")
        axes.legend(loc="upper center", fontsize=11)

    return pictures.draw(fill, theme, 4.2)


def draw_valley(found: dict, theme: str) -> str:
    """The paths over the level lines of Rosenbrock's function."""

    def fill(axes, colours):
        x, y = np.meshgrid(np.linspace(-1.7, 1.5, 161), np.linspace(-0.5, 2.1, 131))
        levels = 10.0 ** np.arange(-1, 3.1, 0.5)
        axes.contour(x, y, rosenbrock((x, y)), levels, colors=colours["grid"], linewidths=0.9)
        paths = zip(pictures.OP_COLOURS, (6, 2.5, 1.2), found["valley"].items(), strict=False)
        for colour, width, (name, one) in paths:
            label = f"{name}, {one['steps']} steps"
            axes.plot(*np.array(one["path"]).T, color=colour, lw=width, label=label)
        axes.plot(*VALLEY_START, "o", color=colours["ink"], ms=6)
        axes.plot(*VALLEY_MINIMUM, "*", color=colours["ink"], ms=12)
        axes.set_xlabel("x, from the dot to the star")
        axes.set_ylabel("y")
        axes.legend(loc="lower left", fontsize=11)

    return pictures.draw(fill, theme, 4.8)


PICTURES = {
    draw_parabola: "Descents on the parabola by three step sizes: crawling, arriving, overshooting",
    draw_valley: "Paths through the curved valley of Rosenbrock's function by three momenta",
}


def print_descents(found: dict | str) -> None:
    if isinstance(found, str):
        print(f"descents: {found}")
    else:
        print_table("descents, gradients by dual numbers", *descents_table(found))


def main() -> None:
    found = run_descents()
    if "--json" in sys.argv[1:]:
        print(json.dumps(found))
    else:
        print_descents(found)


if __name__ == "__main__":
    main()
