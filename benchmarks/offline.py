"""Make the pages of `asv publish` work without a network: `python -m benchmarks.offline DIR`.

asv's page loads its libraries from content delivery networks. The same files are in packages of the
npm registry: they are fetched once by `npm pack`, kept in build/asv-libraries, and the page is made
to load the copies. The versions are those that the page asks for, or the nearest that npm has.

Its figures it asks a server for, which a page opened from a file may not: they are written into a
script beside it, from which jQuery then takes them.
"""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

STORE = Path(__file__).parent.parent / "build" / "asv-libraries"

# file name in the page -> npm package and the path inside it
LIBRARIES = {
    "jquery-3.3.1.min.js": ("jquery@3.3.1", "dist/jquery.min.js"),
    "jquery.flot.min.js": ("jquery-flot@0.8.3", "jquery.flot.js"),
    "jquery.flot.time.min.js": ("jquery-flot@0.8.3", "jquery.flot.time.js"),
    "jquery.flot.selection.min.js": ("jquery-flot@0.8.3", "jquery.flot.selection.js"),
    "jquery.flot.categories.min.js": ("jquery-flot@0.8.3", "jquery.flot.categories.js"),
    "jquery.flot.orderBars.js": ("flot-orderbars@1.0.0", "js/jquery.flot.orderBars.js"),
    "stupidtable.min.js": ("stupid-table-plugin@1.1.3", "stupidtable.min.js"),
    "md5.min.js": ("blueimp-md5@2.19.0", "js/md5.min.js"),
    "bootstrap.min.js": ("bootstrap@3.1.1", "dist/js/bootstrap.min.js"),
    "bootstrap.min.css": ("bootstrap@3.1.1", "dist/css/bootstrap.min.css"),
}
FIGURES = "figures.js"
SCRIPT = """(function (figures) {
  $.ajaxTransport("+*", function (options) {
    var path = decodeURIComponent(options.url.split("?")[0]);
    var is_known = figures.hasOwnProperty(path);
    return {
      send: function (headers, done) {
        setTimeout(function () {
          if (is_known) { done(200, "OK", {text: figures[path]}); } else { done(404, "missing"); }
        }, 0);
      },
      abort: function () {}
    };
  });
})(%s);
"""
REMOTE = re.compile(r'(src|href)="https?://[^"]*/([^"/]+\.(?:js|css))"[^>]*>')


def library(name: str) -> Path:
    """The file, fetched if it is not there yet."""
    target = STORE / name
    if target.exists():
        return target
    package, member = LIBRARIES[name]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", package], cwd=folder, check=True, capture_output=True)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as packed:
            content = packed.extractfile(f"package/{member}").read()
    STORE.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def localise(text: str) -> tuple[str, list[str]]:
    """(the page with local addresses, the names of the files it needs)."""
    names: list[str] = []

    def local(found):
        attribute, name = found.groups()
        names.append(name)
        end = ' onerror="js_load_failure()">' if name.endswith(".js") else ' rel="stylesheet">'
        return f'{attribute}="{name}"{end}'

    text = REMOTE.sub(local, text)
    if FIGURES not in text:  # after jQuery, before asv's own
        ours = f'<script src="{FIGURES}"></script>'
        text = re.sub(r"(<script [^>]*src=.asv\.js)", rf"{ours}\1", text, count=1)
    return text, names


def figures_script(folder: Path) -> str:
    """All JSON files of the pages, by their paths, as a script that answers for the server."""
    figures = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.json"))
    }
    return SCRIPT % json.dumps(figures | {"swallow.ico": ""})


def main(folder: str) -> int:
    page = Path(folder) / "index.html"
    text, names = localise(page.read_text(encoding="utf-8"))
    if shutil.which("npm") is None and not all((STORE / name).exists() for name in names):
        print("npm is not installed: the pages load their libraries from the network")
        return 1
    for name in names:
        shutil.copyfile(library(name), Path(folder) / name)
    page.write_text(text, encoding="utf-8")
    (Path(folder) / FIGURES).write_text(figures_script(Path(folder)), encoding="utf-8")
    print(f"{page}: open it in a browser; it needs no network and no server")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
