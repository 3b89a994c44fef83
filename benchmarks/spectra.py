"""Spectra of real data: principal components of the digits, PageRank of a graph of packages.

    python -m benchmarks.spectra [--json]

The digits are the 1797 that scikit-learn ships: what a component explains stands beside
scikit-learn's figure. The graph is that of the scientific packages installed here: its nodes are
their modules, its edges their import statements, read from the source and not executed. PageRank is
the dominant eigenvector of its transition matrix, found by power iteration on CSR.
"""

import ast
import json
import sys
from pathlib import Path

import numpy as np

from . import pictures
from .digits import best_time
from .table import print_table

N_COMPONENTS = 10
N_PICTURES = 8
DAMPING = 0.85
PACKAGES = ("numpy", "sklearn", "joblib", "threadpoolctl", "fastmath_ml")


def digits_components() -> dict:
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA

    import fastmath_ml as fm

    images, labels = load_digits(return_X_y=True)
    found, seconds = best_time(lambda: fm.pca(images, N_COMPONENTS, rng=0))
    model = PCA(N_COMPONENTS, svd_solver="covariance_eigh")
    _, their_seconds = best_time(lambda: model.fit_transform(images))
    centred = images - images.mean(axis=0)
    spectrum = fm.svd_topk(centred, min(images.shape), rng=0)
    return {
        "explained": found.explained_variance_ratio.tolist(),
        "sklearn_explained": model.explained_variance_ratio_.tolist(),
        "components": found.components[:N_PICTURES].tolist(),
        "scores": found.scores[:, :2].round(2).tolist(),
        "labels": labels.tolist(),
        "singular_values": spectrum.S.tolist(),
        "seconds": seconds,
        "sklearn_seconds": their_seconds,
    }


# ---- PageRank ----


def modules_of(package: str) -> dict[str, Path]:
    """{dotted name: file} of the modules of an installed package."""
    from importlib.util import find_spec

    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return {}
    if not spec.submodule_search_locations:
        return {package: Path(spec.origin)}
    root = Path(spec.origin).parent
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if "tests" not in parts:
            found[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return found


def imports_of(name: str, path: Path):
    """The dotted names that a module's import statements mention, relative ones resolved."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")
            base = base[: len(base) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{origin}.{alias.name}" for alias in node.names)
            yield origin


def import_graph():
    """The names of the modules, and the edges (importer, imported) by their numbers."""
    files = {name: path for package in PACKAGES for name, path in modules_of(package).items()}
    number = {name: at for at, name in enumerate(files)}
    edges = set()
    for name, path in files.items():
        for mentioned in imports_of(name, path):
            if mentioned in number and mentioned != name:
                edges.add((number[name], number[mentioned]))
    return list(files), sorted(edges)


def transition_matrix(n: int, edges):
    """The transposed transition matrix of the surfer, in CSR form, stochastic by columns.

    The jump to any module goes through a node of its own, the last one: with it the matrix stays
    sparse, and its stationary vector without that node is the PageRank. From a module that imports
    nothing every step goes there.
    """
    import scipy.sparse as sp

    tail, head = np.array(edges).T
    counts = np.bincount(tail, minlength=n)
    modules = np.arange(n)
    jump = np.where(counts > 0, 1 - DAMPING, 1.0)
    values = np.concatenate([DAMPING / counts[tail], jump, np.full(n, 1.0 / n)])
    rows = np.concatenate([head, np.full(n, n), modules])
    cols = np.concatenate([tail, modules, np.full(n, n)])
    return sp.csr_array((values, (rows, cols)), shape=(n + 1, n + 1))


def pagerank(names: list[str], edges) -> dict:
    import fastmath_ml as fm

    matrix = transition_matrix(len(names), edges)
    start = np.ones(len(names) + 1)
    result, seconds = best_time(lambda: fm.power_iteration(matrix, v0=start, tol=1e-10))
    ranks = result.eigenvector[:-1] / result.eigenvector[:-1].sum()
    order = np.argsort(-ranks)[:12]
    return {
        "n_modules": len(names),
        "n_imports": len(edges),
        "n_iter": result.n_iter,
        "converged": result.converged,
        "eigenvalue": result.eigenvalue,
        "residual": result.residual,
        "seconds": seconds,
        "top": [[names[at], float(ranks[at])] for at in order],
    }


def run_spectra() -> dict:
    return {"digits": digits_components(), "pagerank": pagerank(*import_graph())}


# ---- tables and pictures ----


def components_table(digits: dict) -> tuple[list[str], list[list[str]]]:
    header = ["component", "explained", "scikit-learn", "difference"]
    pairs = zip(digits["explained"], digits["sklearn_explained"], strict=True)
    return header, [
        [str(at + 1), f"{ours:.4%}", f"{theirs:.4%}", f"{abs(ours - theirs):.1e}"]
        for at, (ours, theirs) in enumerate(pairs)
    ]


def pagerank_table(graph: dict) -> tuple[list[str], list[list[str]]]:
    return ["module", "PageRank"], [[name, f"{rank:.4f}"] for name, rank in graph["top"]]


def draw_components(digits: dict, theme: str) -> str:
    """The first components as images, side by side."""
    tiles = []
    for component in digits["components"]:
        image = np.array(component).reshape(8, 8)
        tiles += [image / np.abs(image).max(), np.full((8, 1), np.nan)]

    def fill(axes, colours):
        half = len(tiles) // 2
        rows = [np.hstack(tiles[:half]), np.hstack(tiles[half:])]
        gap = np.full((1, rows[0].shape[1]), np.nan)
        axes.imshow(np.vstack([rows[0], gap, rows[1]]), cmap="RdBu", vmin=-1, vmax=1)
        axes.set_axis_off()

    return pictures.draw(fill, theme, 3.4)


def draw_scatter(digits: dict, theme: str) -> str:
    """The digits in the plane of the first two components."""
    scores, labels = np.array(digits["scores"]), np.array(digits["labels"])

    def fill(axes, colours):
        palette = (*pictures.OP_COLOURS, "#7f7f7f", "#17becf", "#8c564b")
        for digit in range(10):
            x, y = scores[labels == digit].T
            axes.plot(x, y, ".", ms=5, alpha=0.7, color=palette[digit], label=str(digit))
        axes.set_xlabel("first component")
        axes.set_ylabel("second component")
        axes.legend(ncols=5, fontsize=10, loc="upper center", bbox_to_anchor=(0.5, 1.16))

    return pictures.draw(fill, theme, 5.4)


def draw_spectrum(digits: dict, theme: str) -> str:
    values = np.array(digits["singular_values"])
    values = values[values > 1e-6 * values[0]]

    def fill(axes, colours):
        axes.semilogy(range(1, len(values) + 1), values, "o-", ms=4, color=colours["good"])
        axes.grid(color=colours["grid"], lw=0.6)
        axes.set_xlabel("singular values of the centred digits")

    return pictures.draw(fill, theme, 3.4)


def notes(spectra: dict) -> tuple[str, str]:
    digits, graph = spectra["digits"], spectra["pagerank"]
    return (
        f"Ours {digits['seconds'] * 1e3:.2f} ms, scikit-learn "
        f"{digits['sklearn_seconds'] * 1e3:.2f} ms (a hint, not a measurement).",
        f"{graph['n_modules']} modules, {graph['n_imports']} imports, {graph['n_iter']} products, "
        f"{graph['seconds'] * 1e3:.1f} ms, residual {graph['residual']:.1e}.",
    )


def print_spectra(spectra: dict | str) -> None:
    if isinstance(spectra, str):
        print(f"spectra: {spectra}")
        return
    about_digits, about_graph = notes(spectra)
    print_table(f"digits: {about_digits}", *components_table(spectra["digits"]))
    print_table(f"imports: {about_graph}", *pagerank_table(spectra["pagerank"]))


def main() -> None:
    spectra = run_spectra()
    if "--json" in sys.argv[1:]:
        print(json.dumps(spectra))
    else:
        print_spectra(spectra)


if __name__ == "__main__":
    main()
