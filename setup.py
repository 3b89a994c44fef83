"""Build the extension modules: one generated C++ file each, compiled once per CPU level.

Cython runs once per module. The modules of LEVEL_MODULES are then compiled for every level of
LEVELS into a folder of its own (`fastmath_ml/_kernels/v3/gemm...so`); `fastmath_ml._kernels` puts
the folder of the best level in front of its search path, so that importers never name a level.

`FASTMATH_ML_LEVELS=base,v3` builds fewer levels, `FASTMATH_ML_CXXFLAGS` and
`FASTMATH_ML_LDFLAGS` replace the optimisation and link flags (sanitizer builds).
"""

import copy
import os
import pathlib
import platform
import re

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = "fastmath_ml/_kernels"
SHARED_MODULES = ["cpu", "pool"]
LEVEL_MODULES = [
    "matvec",
    "blocks",
    "gemm",
    "products",
    "linear",
    "softmax_across",
    "softmax",
    "logsumexp",
    "softmax_grad",
    "activations",
    "pairwise",
    "euclidean",
    "elementwise",
    "optim",
    "cross_entropy_across",
    "cross_entropy",
    "linear_cross_entropy",
    "losses",
    "linear_models",
    "power",
    "projections",
    "sparse",
    "norms",
    "information",
    "moments",
    "order_statistics",
    "bits",
    "small",
    "candidates",
    "topk",
    "row_pairs",
    "probe",
]
X86_LEVELS = {
    "base": ["-march=x86-64-v2"],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}
IS_X86 = platform.machine().lower() in {"x86_64", "amd64"}
ALL_LEVELS = X86_LEVELS if IS_X86 else {"base": []}
LEVELS = ALL_LEVELS
if "FASTMATH_ML_LEVELS" in os.environ:
    names = os.environ["FASTMATH_ML_LEVELS"].split(",")
    if unknown := set(names) - set(ALL_LEVELS):
        raise SystemExit(
            f"FASTMATH_ML_LEVELS names {', '.join(sorted(unknown))}; "
            f"this processor's architecture has {', '.join(ALL_LEVELS)}"
        )
    LEVELS = {name: ALL_LEVELS[name] for name in names}

# -ffast-math is out of the question: it breaks NaN and infinity, and at link time it makes the
# whole process flush denormals. These two only drop errno and trap bookkeeping.
MATH_FLAGS = ["-std=c++17", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
OPT_FLAGS = os.environ.get("FASTMATH_ML_CXXFLAGS", "-O3 -g0").split()
# Kernels throw nothing and catch nothing. Without tables for unwinding the wheel is a twentieth
# smaller.
KERNEL_FLAGS = ["-fno-exceptions", "-fno-asynchronous-unwind-tables"]
# What only CPUs without AVX2 run is compiled for size: 3 % slower, a twenty-fifth of the wheel.
SIZE_FLAGS = {}
if IS_X86 and "FASTMATH_ML_CXXFLAGS" not in os.environ:
    SIZE_FLAGS["base"] = ["-O2", "-fpeel-loops"]
BUILD_FLAGS = " ".join(MATH_FLAGS + OPT_FLAGS)
for level, flags in SIZE_FLAGS.items():
    BUILD_FLAGS += f" ({level}: {' '.join(flags)})"
LINK_FLAGS = os.environ.get(
    "FASTMATH_ML_LDFLAGS", "-Wl,-s" if platform.system() == "Linux" else ""
).split()
WARNING_FLAGS = ["-fvisibility=hidden", "-Wno-psabi", "-Wno-ignored-attributes"]

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "binding": True,
}


class BuildPerLevel(build_ext):
    """Compile in parallel, and keep the object files of the levels apart."""

    def finalize_options(self):
        super().finalize_options()
        if self.parallel is None:
            self.parallel = os.cpu_count() or 1
        if self.editable_mode:
            # Where `setup.py build_ext` builds: what is built already is found there.
            build = self.distribution.get_command_class("build")(self.distribution)
            build.ensure_finalized()
            self.build_lib, self.build_temp = build.build_platlib, build.build_temp

    def build_extension(self, ext):
        command = copy.copy(self)
        command.build_temp = os.path.join(self.build_temp, ext.name.split(".")[-2])
        build_ext.build_extension(command, ext)


def generated_sources():
    """Run Cython once per module; the C++ file of each module by its name."""
    modules = [
        Extension(f"fastmath_ml._kernels.{name}", [f"{KERNELS}/{name}.pyx"], language="c++")
        for name in SHARED_MODULES + LEVEL_MODULES
    ]
    # Beside the sources: in a build directory Cython would also put copies of the headers, which a
    # compiler then finds first, stale or not.
    # NumPy's declarations come into them, and interpreters that share a checkout need not have the
    # same NumPy.
    stamp, made_by = pathlib.Path("build/generated-with"), f"NumPy {numpy.__version__}"
    generated = cythonize(
        modules,
        compiler_directives=DIRECTIVES,
        include_path=["."],
        force=not stamp.exists() or stamp.read_text() != made_by,
    )
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(made_by)
    return {ext.name.split(".")[-1]: ext.sources for ext in generated}


def headers_of(path, found):
    """The headers of ours that a source includes, directly or through another one."""
    with open(path, encoding="utf-8") as source:
        names = re.findall(r'^\s*#include "(\w+\.h)"', source.read(), flags=re.MULTILINE)
    for header in (f"{KERNELS}/{name}" for name in names):
        if header not in found and os.path.exists(header):
            found.add(header)
            headers_of(header, found)
    return found


def extension(name, sources, flags):
    return Extension(
        name,
        sources,
        language="c++",
        include_dirs=[KERNELS, numpy.get_include()],
        define_macros=[
            ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
            ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
            ("CYTHON_CLINE_IN_TRACEBACK", "0"),
            ("FASTMATH_ML_BUILD_FLAGS", f'"{BUILD_FLAGS}"'),
        ],
        depends=sorted(headers_of(sources[0], set())),
        extra_compile_args=MATH_FLAGS + WARNING_FLAGS + OPT_FLAGS + flags,
        extra_link_args=LINK_FLAGS,
    )


def extensions():
    sources = generated_sources()
    # What is shared runs before a level has been chosen: on any processor.
    yield from (
        extension(f"fastmath_ml._kernels.{name}", list(sources[name]), ALL_LEVELS["base"])
        for name in SHARED_MODULES
    )
    yield from (
        extension(
            f"fastmath_ml._kernels.{level}.{name}",
            list(sources[name]),
            flags + KERNEL_FLAGS + SIZE_FLAGS.get(level, []),
        )
        for name in LEVEL_MODULES
        for level, flags in LEVELS.items()
    )


setup(ext_modules=list(extensions()), cmdclass={"build_ext": BuildPerLevel})
