"""The report: one HTML page that needs no network, with its pictures inside.

Light or dark as the reader's system is, and narrow enough for a phone: wide tables scroll.
"""

import base64
from functools import partial
from html import escape
from importlib.util import find_spec
from statistics import geometric_mean

from . import behaviour_pictures, descents, pictures, pixels, spectra
from .comparison import change_table
from .machine import machine_lines
from .table import bars_table, by_operation, case_table, digits_table

STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --paper: #ffffff; --line: #d5d9e0;
        --soft: #5b6573; --bad: #b3450b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ee; --paper: #161b22; --line: #3a4250; --soft: #9aa5b4; --bad: #ff9e57; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
p.summary { font-size: 1.1rem; }
p.note { color: var(--soft); font-size: .9rem; }
img { width: 100%; max-width: 46rem; height: auto; }
div.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap;
         border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
td.bad { color: var(--bad); font-weight: 600; }
"""

HOW = """Each peer is measured against ours in a process of its own, in alternating blocks of calls,
at the better of one and all threads and in the form that suits it best. A ratio is the median over
the rounds of its time divided by ours: above 1 ours is faster. Steady: calls in a row. Isolated:
each call after a sleep of 5 ms. Of limit: the time that the measured peak of arithmetic or the
measured copy rate allows, divided by ours; memory rates depend on the cache that the data lies in,
so it can exceed 100 %."""


def html_table(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = []
    for row in rows:
        cells = "".join(
            f'<td class="bad">{escape(cell)}</td>'
            if cell in ("NO", "error", "not measured")
            else f"<td>{escape(cell)}</td>"
            for cell in row
        )
        body.append(f"<tr>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def html_picture(draw, description: str) -> str:
    """`draw(theme)` in both themes; the browser takes the one that the reader's system asks for."""
    urls = {
        theme: "data:image/svg+xml;base64," + base64.b64encode(draw(theme).encode()).decode()
        for theme in pictures.THEMES
    }
    return (
        f'<picture><source srcset="{urls["dark"]}" media="(prefers-color-scheme: dark)">'
        f'<img src="{urls["light"]}" alt="{escape(description)}"></picture>'
    )


def html_pictures(result: dict) -> list[str]:
    if not find_spec("matplotlib"):
        return ['<p class="note">No pictures: matplotlib is not installed.</p>']
    records, limits = result["cases"], result["limits"]
    # Most cases run on all threads only: a roof above nothing says nothing.
    roofs = sorted({r["threads"] for r in records if not r["is_overhead"]})
    return [
        "<h2>Ours against the fastest peer</h2>",
        '<p class="note">Bar: steady. Ring: isolated.</p>',
        html_picture(
            lambda theme: pictures.draw_ratios(records, theme),
            "Ratio of the fastest peer's time to ours, case by case; the figures are in the tables",
        ),
        *[part for n in roofs for part in html_roofline(records, limits, n)],
    ]


def html_roofline(records, limits, threads: int) -> list[str]:
    return [
        f"<h2>Roofline, {threads} thread{'s' * (threads > 1)}</h2>",
        '<p class="note">Circles: float32. Squares: float64. The sloped roofs are the copy rates '
        "measured in the cache (solid) and in memory (dotted).</p>",
        html_picture(
            lambda theme: pictures.draw_roofline(records, limits, threads, theme),
            "Attained GFLOP/s over operations per byte, under the limits of the machine",
        ),
    ]


def html_digits(digits) -> list[str]:
    if digits is None:
        return []
    heading = "<h2>Handwritten digits</h2>"
    if isinstance(digits, str):
        return [heading, f'<p class="note">{escape(digits)}</p>']
    note = (
        "Our functions and scikit-learn's doing the same work: accuracy, share of equal answers, "
        "largest difference of a probability."
    )
    parts = [heading, f'<p class="note">{note}</p>', html_table(*digits_table(digits))]
    if find_spec("matplotlib"):
        from .digits import neighbour_images

        queries, neighbours = neighbour_images()
        parts.append(
            html_picture(
                lambda theme: pictures.draw_neighbours(queries, neighbours, theme),
                "Test images of the digits 0 to 4, each with its 7 nearest training images",
            )
        )
    return parts


def html_training(curves) -> list[str]:
    if curves is None:
        return []
    heading = "<h2>Softmax regression on the digits</h2>"
    if isinstance(curves, str) or not find_spec("matplotlib"):
        note = curves if isinstance(curves, str) else "No picture: matplotlib is not installed."
        return [heading, f'<p class="note">{escape(note)}</p>']
    draw = partial(pictures.draw_losses, curves)
    return [heading, html_picture(draw, "The loss of each method over its epochs")]


def html_pixels(found) -> list[str]:
    if found is None:
        return []
    heading = "<h2>Information in the pixels of the digits</h2>"
    if isinstance(found, str):
        return [heading, f'<p class="note">{escape(found)}</p>']
    parts = [heading, f'<p class="note">{escape(pixels.note(found))}</p>']
    parts.append(html_table(*pixels.pixels_table(found)))
    if find_spec("matplotlib"):
        description = "Entropy of each pixel, and its mutual information with the label, in bits"
        parts.append(html_picture(partial(pixels.draw_pixels, found), description))
    return parts


def html_descents(found) -> list[str]:
    if found is None:
        return []
    heading = "<h2>Paths of gradient descents</h2>"
    if isinstance(found, str):
        return [heading, f'<p class="note">{escape(found)}</p>']
    parts = [heading, html_table(*descents.descents_table(found))]
    if find_spec("matplotlib"):
        for draw, description in descents.PICTURES.items():
            parts.append(html_picture(partial(draw, found), description))
    return parts


def html_spectra(found) -> list[str]:
    if found is None:
        return []
    heading = "<h2>Spectra: principal components, PageRank</h2>"
    if isinstance(found, str):
        return [heading, f'<p class="note">{escape(found)}</p>']
    digits, graph = found["digits"], found["pagerank"]
    about_digits, about_graph = spectra.notes(found)
    drawn = []
    if find_spec("matplotlib"):
        drawn = [
            html_picture(partial(draw, digits), description)
            for draw, description in (
                (spectra.draw_components, "The first principal components of the digits as images"),
                (spectra.draw_scatter, "The digits in the plane of their first two components"),
                (spectra.draw_spectrum, "The singular values of the centred digits"),
            )
        ]
    return [
        heading,
        f'<p class="note">Digits: {escape(about_digits)}</p>',
        html_table(*spectra.components_table(digits)),
        *drawn,
        f'<p class="note">Who imports whom in the installed packages: {escape(about_graph)}</p>',
        html_table(*spectra.pagerank_table(graph)),
    ]


def html_bars(verdicts) -> list[str]:
    if verdicts is None:
        return []
    if not verdicts:
        return ["<h2>Bars</h2>", "<p>All are met.</p>"]
    return ["<h2>Bars that fall short</h2>", html_table(*bars_table(verdicts))]


def html_changes(found) -> list[str]:
    if not found:
        return []
    note = "Judged by the ratio to a peer that both runs measured; above 1 it is faster now."
    return [
        "<h2>Since the earlier run</h2>",
        f'<p class="note">{note}</p>',
        html_table(*change_table(found)),
    ]


def html_summary(records) -> list[str]:
    """What a reader in a hurry wants to know."""
    ratios = [r["best"]["steady"][1] for r in records if r["best"].get("steady")]
    if not ratios:
        return []
    ahead = sum(ratio >= 1 for ratio in ratios)
    wrong = sum(r["agrees"] is False for r in records)
    return [
        f'<p class="summary"><b>{ahead} of {len(ratios)}</b> cases are faster than the fastest '
        f"peer, by <b>{geometric_mean(ratios):.2f}×</b> in the geometric mean of all; the least "
        f"ratio is {min(ratios):.2f}×. {wrong or 'No'} result is wrong.</p>"
    ]


def html_behaviour(found) -> list[str]:
    if found is None:
        return []
    if isinstance(found, str):
        return ["<h2>Behaviour</h2>", f'<p class="note">{escape(found)}</p>']
    has_pictures = find_spec("matplotlib") is not None
    return behaviour_pictures.sections(found, html_table, html_picture, has_pictures)


def html_page(result: dict, verdicts=None) -> str:
    """The page for a result; `verdicts` are the bars that fall short, if bars were judged."""
    facts = "<br>".join(map(escape, machine_lines(result["machine"], result["limits"])))
    parts = ["<h1>fastmath_ml: speed</h1>", f'<p class="note">{facts}</p>']
    parts += html_bars(verdicts)
    parts += html_summary(result["cases"])
    parts += html_changes(result.get("changes"))
    parts += html_pictures(result)
    parts += html_behaviour(result.get("behaviour"))
    parts += html_digits(result["digits"])
    parts += html_training(result.get("training"))
    parts += html_descents(result.get("descents"))
    parts += html_pixels(result.get("pixels"))
    parts += html_spectra(result.get("spectra"))
    for op, records in by_operation(result["cases"]).items():
        parts += [f"<h2>{escape(op)}</h2>", html_table(*case_table(records))]
    parts += [f'<p class="note">{HOW}</p>']
    body = "\n".join(parts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>fastmath_ml: speed</title>
<style>{STYLE}</style>
</head>
<body>
{body}
</body>
</html>
"""
