"""Make the pages of `asv publish` work without a network: `python -m benchmarks.offline DIR`.

asv's page loads its libraries from content delivery networks. The same files are in packages of the
npm registry: they are fetched once by `npm pack`, kept in build/asv-libraries, and the page is made
to load the copies. The versions are those that the page asks for, or the nearest that npm has.
"""

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
    "stupidtable.min.js": ("stupid-table-plugin@1.0.1", "stupidtable.min.js"),
    "md5.min.js": ("blueimp-md5@2.19.0", "js/md5.min.js"),
    "bootstrap.min.js": ("bootstrap@3.1.1", "dist/js/bootstrap.min.js"),
    "bootstrap.min.css": ("bootstrap@3.1.1", "dist/css/bootstrap.min.css"),
}
REMOTE = re.compile(r'(src|href)="https?://[^"]*/([^"/]+\.(?:js|css))"[^>]*>')


def library(name: str) -> Path:
    """The file, fetched if it is not there yet."""
    target = STORE / name
    if target.exists():
        return target
    package, member = LIBRARIES[name]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True)
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

    return REMOTE.sub(local, text), names


def main(folder: str) -> int:
    page = Path(folder) / "index.html"
    text, names = localise(page.read_text(encoding="utf-8"))
    if shutil.which("npm") is None and not all((STORE / name).exists() for name in names):
        print("npm is not installed: the pages load their libraries from the network")
        return 1
    for name in names:
        shutil.copyfile(library(name), Path(folder) / name)
    page.write_text(text, encoding="utf-8")
    print(f"{page}: serve the folder (python -m http.server -d {folder}); it needs no network")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
