"""A revision of the package, built at one CPU level and installed in a folder of its own.

Wheels are cached by what they are made of: the sources, the interpreter, NumPy and the compiler.
All revisions are built in one folder, into which only the files that differ are written, so that a
revision next to the last one costs the compilation of what changed. What a checkout has built is
taken over into an empty folder.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
STORE = ROOT / "build" / "gate"
LEVEL = "v3" if platform.machine().lower() in {"x86_64", "amd64"} else "base"
# What a wheel is made of; what only some revisions have is left out where it is missing.
SOURCES = ["fastmath_ml", "setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"]
WORK = "the working tree"
KERNELS = "fastmath_ml/_kernels"


class Unavailable(Exception):
    """A revision that cannot be had here; the message says why."""


@dataclass(frozen=True)
class Tree:
    label: str  # as the caller named it, and its commit
    site: Path  # the folder to put on PYTHONPATH

    def environment(self, n_threads: int | None = None) -> dict[str, str]:
        """For a process that imports this revision and the benchmarks of this checkout."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FASTMATH_ML_"))}
        env |= {
            "PYTHONPATH": os.pathsep.join([str(self.site), str(ROOT)]),
            "PYTHONHASHSEED": "0",
            "FASTMATH_ML_CPU": LEVEL,
        }
        if n_threads is not None:
            for name in ("FASTMATH_ML", "OMP", "OPENBLAS", "MKL"):
                env[f"{name}_NUM_THREADS"] = str(n_threads)
        return env


def git(*arguments: str, binary: bool = False, env: dict | None = None):
    if shutil.which("git") is None:
        raise Unavailable("git is not installed")
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False, env=env)
    if done.returncode:
        message = done.stderr.decode(errors="replace").strip().splitlines() or ["there is none"]
        raise Unavailable(f"git {' '.join(arguments)}: {message[-1]}")
    return done.stdout if binary else done.stdout.decode().strip()


def tree_of(revision: str | None, edits: dict[str, str] | None = None) -> tuple[str, str]:
    """(label, git tree) of a revision; None is the working tree, changed and new files included.

    `edits` are whole files, by their paths, that replace those of the revision.
    """
    if revision is not None and not edits:
        commit = git("rev-parse", "--verify", "--quiet", "--short", f"{revision}^{{commit}}")
        return f"{revision} ({commit})", git("rev-parse", f"{commit}^{{tree}}")
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "GIT_INDEX_FILE": str(Path(folder) / "index")}
        git("read-tree", revision or "HEAD", env=env)
        if revision is None:
            names = (name for name in SOURCES if (ROOT / name).exists())
            git("add", "-A", "--", *names, env=env)
        for path, text in (edits or {}).items():
            edited = Path(folder) / "edited"
            edited.write_text(text, encoding="utf-8")
            blob = git("hash-object", "-w", str(edited))
            git("update-index", "--cacheinfo", f"100644,{blob},{path}", env=env)
        return revision or WORK, git("write-tree", env=env)


def toolchain() -> str:
    """What a build depends on beside its sources."""
    import Cython
    import numpy

    flags = os.environ.get("FASTMATH_ML_CXXFLAGS", "")
    compiler = os.environ.get("CXX", "c++")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return (
        f"{sys.version} {numpy.__version__} {Cython.__version__} {version.stdout} {flags} {LEVEL}"
    )


def digest_of(git_tree: str) -> str:
    """Of what decides its speed: revisions that differ in docs, tests or metadata share a wheel."""
    listing = git("ls-tree", git_tree, "--", "fastmath_ml", "setup.py")
    return hashlib.sha256(f"{listing}\n{toolchain()}".encode()).hexdigest()[:16]


def is_same(base: str | None, head: str | None) -> bool:
    """Whether two revisions would be built of the same sources."""
    return len({digest_of(tree_of(revision)[1]) for revision in (base, head)}) == 1


def sync(git_tree: str, folder: Path) -> list[str]:
    """Make the sources in `folder` those of the tree; the files that were written or removed.

    Files that are the same keep their time stamps: what was built from them stays valid.
    """
    held = set(git("ls-tree", "--name-only", git_tree).splitlines())
    if not {"setup.py", "fastmath_ml"} <= held:
        raise Unavailable("it has no package to build")
    names = [name for name in SOURCES if name in held]
    changed: list[str] = []
    wanted = set()
    with tarfile.open(fileobj=BytesIO(git("archive", git_tree, *names, binary=True))) as archive:
        for member in archive:
            if not member.isfile():
                continue
            wanted.add(member.name)
            path = folder / member.name
            content = archive.extractfile(member).read()
            if path.exists() and path.read_bytes() == content:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            changed.append(member.name)
    for path in (folder / "fastmath_ml").rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in wanted and path.suffix != ".cpp":
            path.unlink()
            changed.append(name)
    return changed


def has_names(library: Path) -> bool:
    """Whether a profile will know the names of its functions."""
    return b"\0.symtab\0" in library.read_bytes()


def build_folder(folder: Path) -> Path:
    """Where setuptools puts what it builds, as `lib.<platform>` below `build`."""
    tag = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    return folder / "build" / f"lib.{tag}"


def take_over(folder: Path) -> int:
    """The kernels that `make build` has just built here; `folder` has the same sources, newer."""
    taken = 0
    target = build_folder(folder) / KERNELS / LEVEL
    for library in (ROOT / KERNELS / LEVEL).glob("*.so"):
        generated = (ROOT / KERNELS / library.name.partition(".")[0]).with_suffix(".cpp")
        if not generated.exists() or not has_names(library):
            continue
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(generated, folder / KERNELS / generated.name)
        shutil.copyfile(library, target / library.name)
        taken += 1
    return taken


def run_bounded(command: list[str], folder: Path, env: dict, seconds: float, log: Path) -> None:
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Unavailable(f"building it takes longer than {seconds:.0f} s") from None
    if code:
        last = (log.read_text(encoding="utf-8").strip().splitlines() or ["no message"])[-1]
        raise Unavailable(f"it does not build: {last} (all of it in {log})")


def build_wheel(git_tree: str, wheel: Path, seconds: float, *, take_built: bool) -> None:
    folder = STORE / f"source-{hashlib.sha256(toolchain().encode()).hexdigest()[:8]}"
    is_new = not (folder / "setup.py").exists()
    changed = sync(git_tree, folder)
    if is_new and take_built:
        print(f"taken over: {take_over(folder)} kernels built here", flush=True)
    elif "setup.py" in changed:  # other flags: nothing that was built is valid
        shutil.rmtree(folder / "build", ignore_errors=True)
    shutil.rmtree(folder / "dist", ignore_errors=True)
    built = build_folder(folder)
    for path in built.rglob("*.py*"):  # the modules of the last revision
        path.unlink()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if LEVEL != "base":
        env["FASTMATH_ML_LEVELS"] = LEVEL
    env["FASTMATH_ML_LDFLAGS"] = ""  # not stripped: a profile shall name functions
    command = [sys.executable, "setup.py", "-q", "bdist_wheel", "--dist-dir", "dist"]
    try:
        run_bounded(command, folder, env, seconds, STORE / "build.log")
    except Unavailable:
        for path in built.rglob("*.so"):  # one of the last may be half written
            if time.time() - path.stat().st_mtime < 5:
                path.unlink()
        raise
    (made,) = (folder / "dist").glob("*.whl")
    wheel.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(made, wheel / made.name)


def install(wheel: Path, site: Path) -> None:
    """`pip install --target`, moved into place when it is whole."""
    partial = site.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--target", str(partial), str(wheel)], check=True)
    partial.rename(site)


def obtain(
    revision: str | None,
    seconds: float = 900.0,
    *,
    take_built: bool = False,
    edits: dict[str, str] | None = None,
) -> Tree:
    """The installed revision, built if it is not in the cache, in at most so many seconds."""
    label, git_tree = tree_of(revision, edits)
    digest = digest_of(git_tree)
    site = STORE / "sites" / digest
    if not site.exists():
        site.parent.mkdir(parents=True, exist_ok=True)
        wheel = STORE / "wheels" / digest
        if not list(wheel.glob("*.whl")):
            takes = take_built and revision is None and not edits
            build_wheel(git_tree, wheel, seconds, take_built=takes)
        install(next(wheel.glob("*.whl")), site)
    return Tree(label, site)
