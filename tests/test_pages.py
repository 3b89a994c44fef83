"""The checks of the pages: what they must see, and the pages of asv without a network."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not part of this installation", allow_module_level=True)
sys.path.append(str(ROOT))

from benchmarks import browser, offline, pages  # noqa: E402

DOT = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="  # noqa: E501
GOOD = f"""<!doctype html><meta name="viewport" content="width=device-width"><style>
body {{ background: #fff }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111 }} }}
</style><img src="{DOT}" alt="a dot">"""


def test_libraries_are_loaded_from_beside_the_page():
    page = """<script src="https://code.jquery.com/jquery-3.3.1.min.js" integrity="x"></script>
<link rel="stylesheet" href="https://cdn.example/bootstrap.min.css" integrity="y">
<script language="javascript"
        src="asv.js"></script>"""
    text, names = offline.localise(page)
    assert names == ["jquery-3.3.1.min.js", "bootstrap.min.css"]
    assert set(names) <= set(offline.LIBRARIES)
    assert "https" not in text
    assert text.index("jquery-3.3.1") < text.index("figures.js") < text.index("asv.js")
    assert offline.localise(text) == (text, [])


def test_figures_are_in_a_script(tmp_path):
    (tmp_path / "graphs" / "summary").mkdir(parents=True)
    (tmp_path / "index.json").write_text('{"a": 1}', encoding="utf-8")
    (tmp_path / "graphs" / "summary" / "b.json").write_text("[]", encoding="utf-8")
    script = offline.figures_script(tmp_path)
    assert '"index.json": "{\\"a\\": 1}"' in script
    assert '"graphs/summary/b.json": "[]"' in script


def test_without_a_browser_it_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(pages, "executable", lambda: None)
    assert pages.main(["report", str(tmp_path)]) == 2
    assert "no Chromium is installed" in capsys.readouterr().out


@pytest.fixture(scope="module")
def chromium():
    if browser.executable() is None:
        pytest.skip("no Chromium is installed")
    with browser.Browser() as started:
        yield started


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        (GOOD, None),
        (GOOD + '<script src="https://code.jquery.com/x.js"></script>', "https://code.jquery.com"),
        (GOOD + "<script>no_such_function()</script>", "error: Uncaught"),
        (GOOD + '<img src="data:image/png;base64,x" alt="broken">', "not drawn: broken"),
        (GOOD + '<div style="width: 700px">.</div>', "pixels wide on a screen of"),
        (GOOD.replace("#111", "#eee"), "does not follow the theme dark"),
        (GOOD.partition("<img")[0], "there is no picture"),
    ],
)
def test_a_report_s_faults_are_seen(chromium, tmp_path, page, fault):
    path = tmp_path / "index.html"
    path.write_text(page, encoding="utf-8")
    found = pages.check_report(chromium, path, tmp_path / "seen")
    if fault is None:
        assert found == []
        assert len(list((tmp_path / "seen").glob("*.png"))) == 4
    else:
        assert any(fault in text for text in found), found
