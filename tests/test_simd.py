"""The SIMD vocabulary, compiled as a program of its own for every level this machine can run.

native/simd_check.cpp does the work; see there. The variants go beyond the levels that are shipped:
64-byte vectors that AVX2 has no registers for, and the portable branch that other CPUs compile.
"""

import functools
import math
import os
import platform
import shutil
import subprocess
from pathlib import Path

import mpmath
import pytest

SOURCE = Path(__file__).parent / "native" / "simd_check.cpp"
KERNELS = Path(__file__).parents[1] / "fastmath_ml" / "_kernels"
FLAGS = ["-O3", "-std=c++17", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]

V3 = ["avx2", "fma", "bmi", "bmi2"]
V4 = [*V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]
# name: flags, CPU features needed to run, first line of the program's output
VARIANTS = {
    "base": (["-march=x86-64-v2"], ["sse4.2"], "16 bytes, intrinsics x86, fma no"),
    "v3": (["-march=x86-64-v3"], V3, "32 bytes, intrinsics x86, fma yes"),
    "v4": (
        ["-march=x86-64-v4", "-mprefer-vector-width=512"],
        V4,
        "64 bytes, intrinsics x86, fma yes",
    ),
    "wide_on_v3": (
        ["-march=x86-64-v3", "-DFASTMATH_ML_VECTOR_BYTES=64", "-Wno-psabi"],
        V3,
        "64 bytes, intrinsics none, fma yes",
    ),
    "portable": (
        ["-march=x86-64-v2", "-DFASTMATH_ML_NO_INTRINSICS"],
        ["sse4.2"],
        "16 bytes, intrinsics none, fma no",
    ),
    "native": ([], [], "intrinsics none"),
}
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")
NAMES = [name for name in VARIANTS if (name == "native") != IS_X86]
# fmt: off
PRIMITIVES = [
    "negate", "vabs", "vsqrt", "vround", "add", "subtract", "multiply", "divide",
    "vmin_fast", "vmax_fast", "vmin", "vmax", "vselect", "vmul_add", "vexp", "vlog",
    "vexpm1", "vlog1p", "vlog1p_unit(min(|x|,1))", "vtanh", "vsigmoid", "verf",
    "vpow(x,3)", "vpow(x,0.3)", "vpow(x,-2.7)", "vpow(x,10)", "vpow(x,0)",
    "vlt", "vle", "vgt", "vge", "veq", "vne", "visnan", "mnot", "mand", "mor", "mtail",
    "vload", "vstore", "vload_partial", "vstore_partial", "vset", "vec()",
    "vsum", "vreduce_min", "vreduce_max", "vstream", "vpick",
]
# fmt: on


@functools.cache
def compiler():
    for name in (os.environ.get("CXX", "").split(" ")[0], "c++", "g++", "clang++"):
        if name and (path := shutil.which(name)):
            return path
    return None


def build(source, flags, program):
    command = [compiler(), *FLAGS, *flags, f"-I{KERNELS}", str(source), "-o", program]
    subprocess.run(command, check=True)


def missing_features(features, directory):
    """Those of `features` that this CPU lacks, asked of the CPU itself."""
    source, program = directory / "features.cpp", str(directory / "features")
    tests = "".join(
        f'if (!__builtin_cpu_supports("{name}")) puts("{name}");\n' for name in features
    )
    source.write_text(f"#include <cstdio>\nint main() {{\n__builtin_cpu_init();\n{tests}}}\n")
    build(source, [], program)
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()


@pytest.fixture(scope="module", params=NAMES)
def variant(request, tmp_path_factory):
    """The name of a variant and its compiled program."""
    if os.name != "posix":
        pytest.skip("the check needs mmap and mprotect")
    if compiler() is None:
        pytest.skip("no C++ compiler found (CXX, c++, g++, clang++)")
    flags, features, _ = VARIANTS[request.param]
    directory = tmp_path_factory.mktemp(request.param)
    if features and (missing := missing_features(features, directory)):
        pytest.skip(f"this CPU lacks {', '.join(missing)}")
    program = str(directory / "simd_check")
    build(SOURCE, flags, program)
    return request.param, program


def test_primitives(variant):
    name, program = variant
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"
    first, *rows, last = done.stdout.splitlines()
    assert VARIANTS[name][2] in first
    assert last == "0 failures"
    # Every primitive reported, for both types: a check that did not run has not passed.
    reported = {tuple(row.split()[:2]) for row in rows}
    expected = {(p, dtype) for p in PRIMITIVES for dtype in ("float", "double")}
    assert reported == expected | {("vwiden", "double"), ("vnarrow", "float")}


def sample(function, lowest, highest):
    """Arguments of the function: the whole range, the neighbourhood of its zero, edge cases."""
    if function == "exp":
        steps = [lowest - 2 + (highest - lowest + 4) * i / 400 for i in range(401)]
        tiny = [sign * 10.0**-i for i in range(1, 20) for sign in (-1, 1)]
        return [*steps, *tiny, 0.0, -0.0, math.inf, -math.inf, math.nan]
    steps = [10.0 ** (-323 + 631 * i / 400) for i in range(401)]
    near_one = [1 + sign * 2.0**-i for i in range(1, 53) for sign in (-1, 1)]
    return [*steps, *near_one, 5e-324, 2.2250738585072014e-308, 0.0, -0.0, -1.0,
            math.inf, -math.inf, math.nan]  # fmt: skip


def correctly_rounded(exact):
    """The float64 nearest to a positive or negative mpf, denormal or infinite where need be."""
    if abs(exact) < mpmath.ldexp(1, -1022):
        return math.ldexp(int(mpmath.nint(mpmath.ldexp(exact, 1074))), -1074)
    if exact >= mpmath.ldexp(2 - mpmath.ldexp(1, -53), 1023):
        return math.inf
    return float(exact)


def evaluate(program, function, arguments):
    done = subprocess.run(
        [program, function, "double"],
        input="\n".join(x.hex() for x in arguments),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    results = [float.fromhex(line) for line in done.stdout.split()]
    assert len(results) == len(arguments)
    return results


@pytest.mark.parametrize("function", ["exp", "log"])
def test_float64_against_mpmath(variant, function):
    """At most one representable number away from the correctly rounded value."""
    arguments = sample(function, -745.2, 709.8)
    results = evaluate(variant[1], function, arguments)
    special = {
        "exp": {0.0: 1.0, math.inf: math.inf, -math.inf: 0.0},
        "log": {0.0: -math.inf, 1.0: 0.0, math.inf: math.inf},
    }[function]
    for x, got in zip(arguments, results, strict=True):
        if math.isnan(x) or (function == "log" and x < 0):
            assert math.isnan(got), x
        elif x in special:
            assert got == special[x], x
        else:
            with mpmath.workprec(200):
                want = correctly_rounded(getattr(mpmath, function)(mpmath.mpf(x)))
            neighbours = (math.nextafter(want, -math.inf), want, math.nextafter(want, math.inf))
            assert got in neighbours, (x.hex(), got.hex(), want.hex())


def exact_sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


# name: the exact function, where its arguments start and end, the largest error in ulp
DERIVED = {
    "expm1": (mpmath.expm1, -40, 709.7, 1.25),
    "log1p": (mpmath.log1p, -0.999, 1e6, 1),
    "tanh": (mpmath.tanh, -20, 20, 1.5),
    "sigmoid": (exact_sigmoid, -708, 40, 1.75),
    "erf": (mpmath.erf, -6, 6, 1.5),
    "pow(x,3)": (lambda x: x**3, 0, 1e6, 1.5),
    "pow(x,0.3)": (lambda x: x ** mpmath.mpf(0.3), 0, 1e6, 1.5),
}


@pytest.mark.parametrize("function", DERIVED)
def test_float64_of_the_others_against_mpmath(variant, function):
    """Steps over the range, towards zero from both sides, and around 1."""
    exact, lowest, highest, max_ulp = DERIVED[function]
    arguments = [lowest + (highest - lowest) * (i + 0.37) / 400 for i in range(400)]
    arguments += [sign * 10 ** (-i / 4) for i in range(1, 400) for sign in (-1, 1)]
    arguments += [sign * (1 + i / 64) for i in range(-30, 64) for sign in (-1, 1)]
    arguments = [x for x in arguments if lowest < x < highest]
    results = evaluate(variant[1], function, arguments)
    for x, got in zip(arguments, results, strict=True):
        with mpmath.workprec(500):
            want = exact(mpmath.mpf(x))
            error = abs(got - want) / max(math.ulp(correctly_rounded(want)), 5e-324)
        assert error <= max_ulp, (x.hex(), got.hex(), float(want))
