"""The package as a whole: what importing it costs and changes, its names and their signatures."""

import ast
import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import inspect
import os
import pkgutil
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest

import fastmath_ml as fm
from fastmath_ml import _arrays, _kernels

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(ROOT.glob("examples/*.py"))
FOLDERS = {"": _kernels.__path__[-1]} | {
    level: f"{_kernels.__path__[-1]}/{level}" for level in _kernels.built_levels()
}
COMPILED = {
    where: {info.name for info in pkgutil.iter_modules([folder]) if not info.ispkg}
    for where, folder in FOLDERS.items()
}


def in_fresh_python(code, **environment):
    """Run code in a new interpreter, with these environment variables set; None removes one."""
    environ = {**os.environ, **environment}
    environ = {name: value for name, value in environ.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environ,
    )


def printed_by(code, **environment):
    done = in_fresh_python(code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---- importing ----


@pytest.mark.parametrize("what", ["", "; from fastmath_ml import *"])
def test_import_brings_nothing_but_numpy(what):
    what = what.replace("*", ", ".join(sorted(set(fm.__all__) - {"calculus", "reference"})))
    added = printed_by(
        f"import sys, numpy; before = set(sys.modules); import fastmath_ml{what};"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    ).split()
    assert "fastmath_ml" in added
    foreign = {name for name in added if name not in sys.stdlib_module_names}
    # Cython's modules share their function type under a name of this form.
    foreign = {name for name in foreign if not re.match(r"_?cython_", name)}
    # An editable installation puts a finder of its own in front.
    foreign = {name for name in foreign if not name.startswith("__editable__")}
    assert foreign <= {"fastmath_ml", "numpy"}
    assert not {"importlib.metadata", "ctypes", "multiprocessing", "concurrent"} & set(added)


def test_calls_import_nothing_heavy():
    heavy = printed_by(
        "import sys, numpy as np, fastmath_ml as fm; x = np.ones((3, 3), np.float32);"
        "fm.matmul(x, x); fm.softmax(x); fm.cosine_similarity(x);"
        "print(*{'numba', 'scipy', 'sklearn', 'torch'} & set(sys.modules))"
    )
    assert heavy == ""


def test_denormals_survive():
    """A library linked with -ffast-math makes the whole process flush them to zero."""
    kept = printed_by(
        "import numpy as np, fastmath_ml as fm; x = np.ones((300, 300));"
        "fm.matmul(x, x); fm.softmax(x); fm.cosine_similarity(x);"
        "print((np.array([5e-324]) * 1.0)[0] == 5e-324,"
        " (np.array([1e-45], np.float32) * np.float32(1))[0] > 0)"
    )
    assert kept == "True True"


def test_an_unknown_level_is_refused_with_the_levels_that_exist():
    done = in_fresh_python("import fastmath_ml", FASTMATH_ML_CPU="v9")
    assert done.returncode != 0
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError: FASTMATH_ML_CPU='v9': expected one of base")


def test_levels_built_for_another_interpreter_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(_kernels, "__path__", [str(tmp_path)])
    assert _kernels.built_levels() == ()
    level = _kernels.LEVEL
    (tmp_path / level).mkdir()
    (tmp_path / level / "gemm.cpython-399-elsewhere.so").touch()
    assert _kernels.built_levels() == ()
    (tmp_path / level / f"gemm{EXTENSION_SUFFIXES[0]}").touch()
    assert _kernels.built_levels() == (level,)


@pytest.mark.parametrize("level", _kernels.built_levels())
def test_each_level_can_be_chosen(level):
    code = "import fastmath_ml as fm; from fastmath_ml._kernels import gemm, softmax;"
    code += "print(fm.cpu_level(), gemm.__file__.count(level), softmax.__file__.count(level))"
    folder = f"/_kernels/{level}/"
    assert printed_by(f"level = {folder!r};" + code, FASTMATH_ML_CPU=level) == f"{level} 1 1"


def test_the_best_level_is_the_default():
    code = "import fastmath_ml; print(fastmath_ml.cpu_level())"
    assert printed_by(code, FASTMATH_ML_CPU=None) == _kernels.built_levels()[-1]
    assert printed_by(code, FASTMATH_ML_CPU="") == _kernels.built_levels()[-1]


# ---- names ----


def test_all_names_resolve():
    for name in fm.__all__:
        assert getattr(fm, name) is not None
    assert set(fm.__all__) <= set(dir(fm))
    assert len(fm.__all__) == len(set(fm.__all__))
    namespace = {}
    exec("from fastmath_ml import *", namespace)
    assert set(fm.__all__) <= set(namespace)


def test_what_type_checkers_see_is_what_there_is():
    """__init__.py imports for them the names that it finds when they are asked for."""
    tree = ast.parse(Path(fm.__file__).read_text())
    for_checkers = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        module.name if node.module is None else (node.module, module.name)
        for node in for_checkers.body
        for module in node.names
    }
    assert seen == {(home, name) for name, home in fm._HOME.items()} | set(fm._MODULES)
    assert set(fm.__all__) == {*fm._HOME, *fm._MODULES, "__version__"}


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'sofmax'"):
        _ = fm.sofmax


MODULES = ["linalg", "pairwise", "special", "optim", "losses", "information", "stats", "reference"]


@pytest.mark.parametrize("name", MODULES)
def test_modules_list_what_they_define(name):
    module = getattr(fm, name)
    for public in module.__all__:
        where = getattr(module, public).__module__
        # A package (the references) has a file for each family, optim has private ones.
        private = where.startswith("fastmath_ml._")
        assert private or module.__name__ in (where, where.rpartition(".")[0])
        if hasattr(fm, public) and name != "reference":
            assert getattr(fm, public) is getattr(module, public)
        assert getattr(module, public).__doc__


# Formulas of one line, and what is judged by where it ends.
WITHOUT_REFERENCE = {
    *("cosine_schedule", "step_schedule", "warmup_schedule"),
    *("fit_linear", "fit_logistic", "fit_softmax", "FitResult"),
    *("gradient_descent", "DescentResult"),
    *("DescribeResult", "Standardized"),
}


def test_reference_has_every_numeric_function():
    modules = (fm.linalg, fm.pairwise, fm.special, fm.optim, fm.losses, fm.information, fm.stats)
    numeric = {name for m in modules for name in m.__all__}
    assert set(fm.reference.__all__) == numeric - WITHOUT_REFERENCE


# ---- signatures ----


def names_kinds_defaults(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def own_signature(function, peer):
    """Ours and the peer's; our own `out` is keyword-only and comes last."""
    ours = names_kinds_defaults(function)
    theirs = names_kinds_defaults(peer)
    if "out" not in [name for name, _, _ in theirs]:
        assert ours.pop() == ("out", inspect.Parameter.KEYWORD_ONLY, None)
    return ours, theirs


@pytest.mark.parametrize("name", ["matmul", "matvec", "vecdot", "vecmat"])
def test_products_have_numpys_signatures(name):
    peer = getattr(np, name)
    try:
        inspect.signature(peer)
    except ValueError:
        pytest.skip("this NumPy does not tell the signatures of its ufuncs")
    ours, theirs = own_signature(getattr(fm, name), peer)
    assert ours == theirs


def test_softmax_has_scipys_signature():
    scipy_special = pytest.importorskip("scipy.special")
    ours, theirs = own_signature(fm.softmax, scipy_special.softmax)
    assert ours == theirs


def test_cosine_similarity_has_scikit_learns_signature():
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    ours, theirs = own_signature(fm.cosine_similarity, pairwise.cosine_similarity)
    assert ours == theirs


INFORMATION = {
    "entropy": ("scipy.stats", "entropy"),
    "jensenshannon": ("scipy.spatial.distance", "jensenshannon"),
    "entr": ("scipy.special", "entr"),
    "rel_entr": ("scipy.special", "rel_entr"),
    "kl_div": ("scipy.special", "kl_div"),
    "mutual_info_score": ("sklearn.metrics", "mutual_info_score"),
    "normalized_mutual_info_score": ("sklearn.metrics", "normalized_mutual_info_score"),
}


@pytest.mark.parametrize("name", INFORMATION)
def test_information_has_its_peers_signatures(name):
    module, peer_name = INFORMATION[name]
    peer = getattr(pytest.importorskip(module), peer_name)
    try:
        theirs = names_kinds_defaults(peer)
    except ValueError:
        pytest.skip("this NumPy does not tell the signatures of its ufuncs")
    ours = names_kinds_defaults(getattr(fm.information, name))
    if "out" not in [each for each, _, _ in theirs] and ours[-1][0] == "out":
        assert ours.pop() == ("out", inspect.Parameter.KEYWORD_ONLY, None)
    if isinstance(peer, np.ufunc):  # the names of its operands are x1 and x2
        ours, theirs = ([(kind, value) for _, kind, value in each] for each in (ours, theirs))
    assert ours == theirs


# ---- what is installed ----


def test_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", fm.__version__)
    assert importlib.metadata.version("fastmath_ml") == fm.__version__
    assert fm.show_config()["version"] == fm.__version__


def test_types_are_announced():
    assert importlib.resources.files("fastmath_ml").joinpath("py.typed").is_file()


def test_every_level_has_the_same_modules():
    levels = {frozenset(COMPILED[level]) for level in _kernels.built_levels()}
    assert len(levels) == 1
    assert {"gemm", "softmax", "pairwise"} <= COMPILED[_kernels.LEVEL]
    assert COMPILED[""] >= {"cpu", "pool"}
    assert not COMPILED[""] & COMPILED[_kernels.LEVEL]


@pytest.mark.parametrize("name", sorted(COMPILED[""] | COMPILED[_kernels.LEVEL]))
def test_stubs_say_what_the_compiled_modules_have(name):
    """Each public function is in the stub and the other way round, with the same parameters."""
    module = importlib.import_module(f"fastmath_ml._kernels.{name}")
    stub = importlib.resources.files("fastmath_ml").joinpath("_kernels", f"{name}.pyi")
    declared = {
        node.name: [
            arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        ]
        for node in ast.parse(stub.read_text() if stub.is_file() else "").body
        if isinstance(node, ast.FunctionDef)
    }
    defined = {
        attribute: list(inspect.signature(value).parameters)
        for attribute, value in vars(module).items()
        if type(value).__name__ == "cython_function_or_method" and not attribute.startswith("_")
    }
    assert declared == defined


def test_show_config_has_what_a_bug_report_needs():
    config = fm.show_config()
    assert config["cpu_level"] == fm.cpu_level()
    assert config["cpu_level"] in config["cpu_levels_available"]
    assert config["threads"] == fm.get_num_threads()
    assert config["threads_because"]
    assert config["compiler"] != "unknown"
    assert "-ffast-math" not in config["flags"]
    with fm.num_threads(1):
        assert fm.show_config()["threads"] == 1


def test_show_config_tells_svml_once_numba_is_there():
    pytest.importorskip("numba")
    assert "SVML" in fm.show_config()["numba"]


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.name)
def test_examples_run(script, tmp_path):
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    accuracy = float(re.search(r"accuracy +(0\.\d+)", done.stdout)[1])
    assert accuracy > 0.97


def test_the_worked_example_of_the_developer_notes(tmp_path):
    """What docs/dev/add-a-kernel.md shows compiles, and computes what it defines."""
    compiler = shutil.which(os.environ.get("CXX", "c++").split(" ")[0])
    if compiler is None:
        pytest.skip("no C++ compiler found (CXX, c++)")
    pytest.importorskip("Cython")
    text = (ROOT / "docs/dev/add-a-kernel.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)
    kernel = "\n\n".join(code for language, code in blocks if language == "cython")
    (tmp_path / "worked_example.pyx").write_text(kernel, encoding="utf-8")
    cython = [sys.executable, "-m", "cython", "--cplus", "-3", "-X", "cdivision=True"]
    subprocess.run([*cython, f"-I{ROOT}", "worked_example.pyx"], check=True, cwd=tmp_path)
    folders = [sysconfig.get_paths()["include"], np.get_include(), ROOT / "fastmath_ml/_kernels"]
    flags = ["-shared", "-fPIC", "-O1", "-w", "-std=c++17", *(f"-I{folder}" for folder in folders)]
    if platform.system() == "Darwin":
        flags += ["-undefined", "dynamic_lookup"]
    library = tmp_path / f"worked_example{sysconfig.get_config_var('EXT_SUFFIX')}"
    command = [compiler, *flags, "worked_example.cpp", "-o", library]
    subprocess.run(command, check=True, cwd=tmp_path)
    spec = importlib.util.spec_from_file_location("worked_example", library)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    definition, function = (
        next(code for language, code in blocks if language == "python" and end in code)
        for end in ("float = 1e-6) -> Array", "out: Any = None) -> Any")
    )
    names = {**vars(_arrays), "Array": np.ndarray, "_float64": np.float64}
    exec(definition, names)
    exact = names["rms_norm"]
    exec(function, names := {**names, "rms_norm_rows": module.rms_norm_rows})
    x = np.random.default_rng(0).normal(size=(7, 1025))
    for rows in (x, x.astype("f4"), x[:, ::-1], np.round(x).astype(int), x[:, :1]):
        result = names["rms_norm"](rows)
        assert result.dtype == (np.float32 if rows.dtype == np.float32 else np.float64)
        np.testing.assert_allclose(result, exact(rows), rtol=8 * np.finfo(result.dtype).eps)
