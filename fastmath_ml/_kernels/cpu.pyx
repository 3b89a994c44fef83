"""What this processor and this build are: CPU levels, cache sizes, compiler.

Compiled once for the baseline, so it can be imported before a level has been chosen.
"""

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(_M_X64)
    /* A level stands for a whole set of features, but the processors that have these have the
       rest of x86-64-v2, v3 and v4 as well. __builtin_cpu_supports also asks the operating system
       whether it saves the wide registers. */
    static int fastmath_ml_cpu_level(void) {
        __builtin_cpu_init();
        if (!(__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))) return 0;
        if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
              && __builtin_cpu_supports("bmi2"))) return 1;
        if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
              && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
              && __builtin_cpu_supports("avx512vl"))) return 2;
        return 3;
    }
    /* AMD's family 26 is Zen 5. */
    #include <cpuid.h>
    static int fastmath_ml_cpu_foresees_rows(void) {
        unsigned a, b, c, d;
        if (!__get_cpuid(0, &a, &b, &c, &d)) return 0;
        if (b != 0x68747541 /* "Auth" of AuthenticAMD */) return 0;
        if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
        return (a >> 8 & 15) + (a >> 20 & 255) >= 26;
    }
    #else
    static int fastmath_ml_cpu_level(void) { return 1; }
    static int fastmath_ml_cpu_foresees_rows(void) { return 0; }
    #endif

    #if defined(__linux__)
    #include <unistd.h>
    static long fastmath_ml_cache_bytes(int level) {
        return level == 1 ? sysconf(_SC_LEVEL1_DCACHE_SIZE)
             : level == 2 ? sysconf(_SC_LEVEL2_CACHE_SIZE) : sysconf(_SC_LEVEL3_CACHE_SIZE);
    }
    #elif defined(__APPLE__)
    #include <sys/sysctl.h>
    static long fastmath_ml_cache_bytes(int level) {
        long long bytes = 0;
        size_t length = sizeof bytes;
        const char* name = level == 1 ? "hw.l1dcachesize"
                         : level == 2 ? "hw.l2cachesize" : "hw.l3cachesize";
        return sysctlbyname(name, &bytes, &length, 0, 0) == 0 ? (long)bytes : 0;
    }
    #else
    static long fastmath_ml_cache_bytes(int level) { return 0; }
    #endif

    #if defined(__clang__)
    #define FASTMATH_ML_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FASTMATH_ML_COMPILER "gcc " __VERSION__
    #else
    #define FASTMATH_ML_COMPILER "unknown"
    #endif
    #ifndef FASTMATH_ML_BUILD_FLAGS
    #define FASTMATH_ML_BUILD_FLAGS "unknown"
    #endif
    """
    int fastmath_ml_cpu_level()
    int fastmath_ml_cpu_foresees_rows()
    long fastmath_ml_cache_bytes(int level)
    const char* FASTMATH_ML_COMPILER
    const char* FASTMATH_ML_BUILD_FLAGS


def supported_levels():
    """The CPU levels that this processor can run, lowest first."""
    return ("base", "v3", "v4")[:fastmath_ml_cpu_level()]


def cache_bytes():
    """(L1 data, L2, L3) cache sizes in bytes; 0 where the system does not tell."""
    return tuple(max(fastmath_ml_cache_bytes(level), 0) for level in (1, 2, 3))


def foresees_rows():
    """Whether the hardware brings eight rows that are read side by side as fast as they can come.

    Where it does, asking for the next ones by instructions costs a tenth; elsewhere it gains up to
    a half.
    """
    return bool(fastmath_ml_cpu_foresees_rows())


def build_info():
    """The compiler and the flags of all levels, in parentheses what one of them has besides."""
    return {
        "compiler": FASTMATH_ML_COMPILER.decode(),
        "flags": FASTMATH_ML_BUILD_FLAGS.decode(),
    }
