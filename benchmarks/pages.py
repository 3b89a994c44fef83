"""Are the pages what they should be, in a browser? `make pages`, which needs Chromium.

    python -m benchmarks.pages report bench-report/index.html
    python -m benchmarks.pages asv build/asv-html

Both are opened as files, in a browser that reaches no network: nothing but the page's own files is
asked for, no script fails, every picture is drawn; the report in light and dark, on a screen and on
a phone, where nothing but its tables may be wider than the screen. --screenshots DIR keeps what
was seen.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from .browser import Browser, Page, executable

PHONE, SCREEN = 390, 1100
LEAST_INK = 20  # pixels; a single commit is a single point
# How many pixels of the canvases of a graph have a colour: its lines and points, not its frame.
INK = """(function (canvases) {
  var ink = 0;
  canvases.forEach(function (canvas) {
    if (!canvas.width || !canvas.height) return;
    var p = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    for (var i = 0; i < p.length; i += 4) {
      var highest = Math.max(p[i], p[i + 1], p[i + 2]), least = Math.min(p[i], p[i + 1], p[i + 2]);
      ink += p[i + 3] > 100 && highest - least > 50;
    }
  });
  return ink;
})(document.querySelectorAll(%s))"""
PICTURES = """Array.from(document.images).map(
  image => [image.alt || image.src.slice(0, 60), image.complete && image.naturalWidth > 0])"""
BRIGHTNESS = """getComputedStyle(document.body).backgroundColor.match(/\\d+/g)
  .slice(0, 3).reduce((sum, value) => sum + Number(value), 0) / 765"""


def strays(page: Page, folder: Path) -> list[str]:
    """What is wrong with any page: requests beyond its folder, errors of scripts."""
    own = folder.resolve().as_uri()
    wrong = [f"asks for {url}" for url in page.requests() if not url.startswith(own)]
    return wrong + [f"error: {text}" for text in page.errors()]


def report_faults(page: Page, folder: Path, theme: str) -> list[str]:
    wrong = strays(page, folder)
    found = page.evaluate(PICTURES)
    wrong += [f"not drawn: {name}" for name, is_drawn in found if not is_drawn]
    if not found:
        wrong.append("there is no picture")
    wide = page.evaluate("document.documentElement.scrollWidth")
    if wide > page.width:
        wrong.append(f"{wide} pixels wide on a screen of {page.width}")
    if (page.evaluate(BRIGHTNESS) > 0.5) != (theme == "light"):
        wrong.append(f"its background does not follow the theme {theme}")
    return wrong


def check_report(browser: Browser, path: Path, screenshots: Path | None) -> list[str]:
    wrong = []
    for theme in ("light", "dark"):
        for name, width, height in (("phone", PHONE, 844), ("screen", SCREEN, 900)):
            page = browser.open(path.resolve().as_uri(), width, height, theme)
            wrong += [f"{theme}, {name}: {f}" for f in report_faults(page, path.parent, theme)]
            if screenshots:
                page.screenshot(screenshots / f"report-{theme}-{name}.png")
    return wrong


def measured(folder: Path, name: str) -> bool:
    """Whether there is a figure of this benchmark, in its summary over all parameters."""
    path = folder / "graphs" / "summary" / f"{name}.json"
    points = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return any(value is not None for _, value in points)


def asv_faults(page: Page, folder: Path, sign: str) -> list[str]:
    """`sign`: what is there once the page has its figures; in canvases something must be drawn."""
    wrong = []
    try:
        page.wait_for(f"document.querySelectorAll({sign!r}).length > 0", 20.0)
        time.sleep(1.0)  # the figures of a graph come one by one
        if "canvas" in sign and page.evaluate(INK % json.dumps(sign)) < LEAST_INK:
            wrong.append("nothing is drawn")
    except TimeoutError as reason:
        wrong.append(str(reason))
    if page.evaluate("document.querySelectorAll('.modal.in').length"):
        wrong.append("a message is shown: " + page.evaluate("$('.modal.in').text().trim()"))
    return wrong + strays(page, folder)


def check_asv(browser: Browser, folder: Path, screenshots: Path | None) -> list[str]:
    """The grid of all benchmarks, the list, and the graph of one of each suite."""
    address = (folder / "index.html").resolve().as_uri()
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    names = [name for name in index["benchmarks"] if measured(folder, name)]
    firsts = {name.partition(".")[0]: name for name in reversed(names)}
    views = {
        "grid": (
            "/",
            "#summarygrid-display a",
        ),  # its small graphs are drawn when they are in sight
        "list": ("/summarylist", "#summarylist-body tr"),
    }
    views |= {suite: (name, "#main-graph canvas") for suite, name in firsts.items()}
    wrong = [] if names else ["nothing has been measured"]
    for view, (place, sign) in views.items():
        page = browser.open(f"{address}#{place}", SCREEN, 900)
        wrong += [f"{place}: {fault}" for fault in asv_faults(page, folder, sign)]
        if screenshots:
            page.screenshot(screenshots / f"asv-{view}.png")
    return wrong


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("kind", choices=("report", "asv"))
    parser.add_argument("path", type=Path)
    parser.add_argument("--screenshots", type=Path)
    options = parser.parse_args(arguments)
    if executable() is None:
        print("no Chromium is installed (apt-get install chromium): the pages are not looked at")
        return 2
    if not options.path.exists():
        print(f"{options.path} is not there")
        return 2
    check = check_report if options.kind == "report" else check_asv
    with Browser() as browser:
        wrong = check(browser, options.path, options.screenshots)
    print(f"{options.path}: " + ("as it should be" if not wrong else "NOT as it should be"))
    for fault in wrong:
        print(f"    {fault}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
