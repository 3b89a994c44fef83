"""What each pixel of the handwritten digits says: its entropy, and what it tells of the label.

    python -m benchmarks.pixels [--json]

Both are in bits, from the counts of the 17 grey levels in the 1797 images that scikit-learn ships;
beside them what SciPy and scikit-learn say.
"""

import json
import sys

import numpy as np

from . import pictures
from .digits import best_time
from .table import print_table, show_time

N_LEVELS = 17


def pixel_information() -> dict:
    from scipy.stats import entropy
    from sklearn.datasets import load_digits
    from sklearn.metrics import mutual_info_score

    import fastmath_ml as fm

    images, labels = load_digits(return_X_y=True)
    levels = images.astype(np.int64)
    columns = np.ascontiguousarray(levels.T)
    counts = np.stack([np.bincount(column, minlength=N_LEVELS) for column in columns])

    def ours():
        in_nats = [fm.mutual_info_score(column, labels) for column in columns]
        return fm.entropy(counts, base=2, axis=1), np.array(in_nats) / np.log(2)

    def theirs():
        in_nats = [mutual_info_score(column, labels) for column in columns]
        return entropy(counts, base=2, axis=1), np.array(in_nats) / np.log(2)

    (our_entropy, our_information), seconds = best_time(ours)
    (their_entropy, their_information), their_seconds = best_time(theirs)
    return {
        "entropy": our_entropy.tolist(),
        "information": our_information.tolist(),
        "entropy_of_labels": float(fm.entropy(np.bincount(labels), base=2)),
        "entropy_difference": float(np.abs(our_entropy - their_entropy).max()),
        "information_difference": float(np.abs(our_information - their_information).max()),
        "seconds": seconds,
        "peer_seconds": their_seconds,
    }


def pixels_table(found: dict) -> tuple[list[str], list[list[str]]]:
    header = ["64 pixels", "least", "mean", "most bits", "max. difference"]
    rows = []
    for title, name in (("entropy", "entropy"), ("about the label", "information")):
        bits = np.array(found[name])
        figures = [f"{value:.3f}" for value in (bits.min(), bits.mean(), bits.max())]
        rows.append([title, *figures, f"{found[f'{name}_difference']:.1e}"])
    return header, rows


def note(found: dict) -> str:
    best = int(np.argmax(found["information"]))
    return (
        f"The labels have {found['entropy_of_labels']:.3f} bits; the pixel in row {best // 8 + 1}, "
        f"column {best % 8 + 1} tells most of them. Ours {show_time(found['seconds'])}, SciPy and "
        f"scikit-learn {show_time(found['peer_seconds'])} (a hint, not a measurement)."
    )


def draw_pixels(found: dict, theme: str) -> str:
    """The entropy of each pixel and its information about the label, as images side by side."""
    maps = [np.array(found[name]).reshape(8, 8) for name in ("entropy", "information")]

    def fill(axes, colours):
        gap = np.full((8, 1), np.nan)
        tiles = [image / image.max() for image in maps]
        axes.imshow(np.hstack([tiles[0], gap, tiles[1]]), cmap="viridis", vmin=0, vmax=1)
        for at, image in enumerate(maps):
            for (row, col), bits in np.ndenumerate(image):
                bright = bits > 0.6 * image.max()
                ink = "#1d2430" if bright else "#e4e8ee"
                axes.text(
                    col + 9 * at, row, f"{bits:.1f}", ha="center", va="center", size=7, color=ink
                )
        axes.set_xticks([3.5, 12.5], ["entropy, bits", "about the label, bits"])
        axes.set_yticks([])
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)

    return pictures.draw(fill, theme, 3.6)


def print_pixels(found: dict | str) -> None:
    if isinstance(found, str):
        print(f"pixels: {found}")
        return
    print_table(f"pixels: {note(found)}", *pixels_table(found))


def main() -> None:
    found = pixel_information()
    if "--json" in sys.argv[1:]:
        print(json.dumps(found))
    else:
        print_pixels(found)


if __name__ == "__main__":
    main()
