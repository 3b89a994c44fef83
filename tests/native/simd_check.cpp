// Checks every primitive of the SIMD vocabulary, at the level and width this file is compiled for,
// against plain scalar arithmetic on hostile values, and exp, log and their kin against a wider type.
//
//   simd_check              all checks: one line per primitive and type, exit status 1 on a failure
//   simd_check exp double   (or log, …, float): hexadecimal numbers from stdin, a result line each
//
// Results must agree to the bit, the sign of zero included, except that any NaN is as good as
// another. Partial loads and stores run against the end of a page whose successor is not
// accessible, so that touching one element too many crashes.
#include "simd.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

using namespace fm;

static int n_failures = 0;

template <class T> const char *type_name() { return sizeof(T) == 4 ? "float" : "double"; }

template <class T> void report(const char *name, bool good, double max_ulp = 0, T worst_at = 0) {
    if (!good) n_failures++;
    printf("%-16s %-6s max %.4f ulp at %a %s\n", name, type_name<T>(), max_ulp, double(worst_at),
           good ? "ok" : "FAILED");
}

template <class T> bool same(T a, T b) {
    return (std::isnan(a) && std::isnan(b)) || memcmp(&a, &b, sizeof(T)) == 0;
}

// One primitive on trial: prints the first wrong result, and the verdict when it goes out of scope.
template <class T> struct trial {
    const char *name;
    bool good = true;
    explicit trial(const char *primitive) : name(primitive) {}
    ~trial() { report<T>(name, good); }
    void expect(T got, T want, T a, T b) {
        if (same(got, want)) return;
        if (good)
            printf("  %s(%a, %a): %a, not %a\n", name, (double)a, (double)b, (double)got,
                   (double)want);
        good = false;
    }
};

template <class T> std::vector<T> hostile_values() {
    typedef std::numeric_limits<T> limits;
    const T one = 1, ulp = limits::epsilon(), huge_even = T(2) / ulp;
    const T positive[] = {0,
                          limits::denorm_min(),
                          3 * limits::denorm_min(),
                          limits::min() - limits::denorm_min(),
                          limits::min(),
                          T(1e-20),
                          ulp,
                          T(0.25),
                          T(0.5) - ulp / 4,
                          T(0.5),
                          T(0.5) + ulp / 2,
                          one - ulp / 2,
                          one,
                          one + ulp,
                          T(1.5),
                          2,
                          T(2.5),
                          3,
                          T(3.5),
                          T(4.5),
                          T(1e3) / 7,
                          one / ulp / 2 - T(0.5),
                          one / ulp / 2 + T(0.5),
                          one / ulp - T(0.5),
                          one / ulp,
                          one / ulp + 1,
                          huge_even,
                          T(1e20),
                          limits::max() / 2,
                          limits::max(),
                          limits::infinity(),
                          limits::quiet_NaN()};
    std::vector<T> values;
    for (T x : positive) {
        values.push_back(x);
        values.push_back(std::copysign(x, T(-1)));
    }
    return values;
}

template <class T> struct unary {
    const char *name;
    vec<T> (*run)(vec<T>);
    T (*want)(T);
};
template <class T> struct binary {
    const char *name;
    vec<T> (*run)(vec<T>, vec<T>);
    T (*want)(T, T);
};
template <class T> struct comparison {
    const char *name;
    mask<T> (*run)(vec<T>, vec<T>);
    bool (*want)(T, T);
};

template <class T> void check_unary() {
    const unary<T> table[] = {
        {"negate", [](vec<T> x) { return -x; }, [](T x) { return -x; }},
        {"vabs", [](vec<T> x) { return vabs(x); }, [](T x) { return std::fabs(x); }},
        {"vsqrt", [](vec<T> x) { return vsqrt(x); }, [](T x) { return std::sqrt(x); }},
        {"vround", [](vec<T> x) { return vround(x); }, [](T x) { return std::nearbyint(x); }},
    };
    const std::vector<T> values = hostile_values<T>();
    const ptrdiff_t lanes = vlanes(T{}), n_values = ptrdiff_t(values.size());
    for (const auto &row : table) {
        trial<T> verdict(row.name);
        for (ptrdiff_t start = 0; start < n_values; start++) {
            T in[16], out[16];
            for (ptrdiff_t i = 0; i < lanes; i++) in[i] = values[size_t((start + i) % n_values)];
            vstore(out, row.run(vload(in)));
            for (ptrdiff_t i = 0; i < lanes; i++)
                verdict.expect(out[i], row.want(in[i]), in[i], T(0));
        }
    }
}

template <class T> T nan_or(T a, T b, T otherwise) {
    return std::isnan(a) || std::isnan(b) ? a + b : otherwise;
}

// Calls f(a, b) with every pair of hostile values in every lane; b varies from lane to lane.
template <class T, class F> void for_all_pairs(F f) {
    const std::vector<T> values = hostile_values<T>();
    const ptrdiff_t lanes = vlanes(T{}), n_values = ptrdiff_t(values.size());
    for (T first : values)
        for (ptrdiff_t start = 0; start < n_values; start++) {
            T a[16], b[16];
            for (ptrdiff_t i = 0; i < lanes; i++) {
                a[i] = first;
                b[i] = values[size_t((start + i) % n_values)];
            }
            f(a, b);
        }
}

template <class T> void check_binary() {
    const binary<T> table[] = {
        {"add", [](vec<T> a, vec<T> b) { return a + b; }, [](T a, T b) { return a + b; }},
        {"subtract", [](vec<T> a, vec<T> b) { return a - b; }, [](T a, T b) { return a - b; }},
        {"multiply", [](vec<T> a, vec<T> b) { return a * b; }, [](T a, T b) { return a * b; }},
        {"divide", [](vec<T> a, vec<T> b) { return a / b; }, [](T a, T b) { return a / b; }},
        {"vmin_fast", [](vec<T> a, vec<T> b) { return vmin_fast(a, b); },
         [](T a, T b) { return a < b ? a : b; }},
        {"vmax_fast", [](vec<T> a, vec<T> b) { return vmax_fast(a, b); },
         [](T a, T b) { return a > b ? a : b; }},
        {"vmin", [](vec<T> a, vec<T> b) { return vmin(a, b); },
         [](T a, T b) { return nan_or(a, b, a < b ? a : b); }},
        {"vmax", [](vec<T> a, vec<T> b) { return vmax(a, b); },
         [](T a, T b) { return nan_or(a, b, a > b ? a : b); }},
        {"vselect", [](vec<T> a, vec<T> b) { return vselect(vlt(a, b), b, -a); },
         [](T a, T b) { return a < b ? b : -a; }},
    };
    for (const auto &row : table) {
        trial<T> verdict(row.name);
        for_all_pairs<T>([&](const T *a, const T *b) {
            T out[16];
            vstore(out, row.run(vload(a), vload(b)));
            for (ptrdiff_t i = 0; i < vlanes(T{}); i++)
                verdict.expect(out[i], row.want(a[i], b[i]), a[i], b[i]);
        });
    }
}

template <class T> void check_comparisons() {
    const comparison<T> table[] = {
        {"vlt", [](vec<T> a, vec<T> b) { return vlt(a, b); }, [](T a, T b) { return a < b; }},
        {"vle", [](vec<T> a, vec<T> b) { return vle(a, b); }, [](T a, T b) { return a <= b; }},
        {"vgt", [](vec<T> a, vec<T> b) { return vgt(a, b); }, [](T a, T b) { return a > b; }},
        {"vge", [](vec<T> a, vec<T> b) { return vge(a, b); }, [](T a, T b) { return a >= b; }},
        {"veq", [](vec<T> a, vec<T> b) { return veq(a, b); }, [](T a, T b) { return a == b; }},
        {"vne", [](vec<T> a, vec<T> b) { return vne(a, b); }, [](T a, T b) { return a != b; }},
        {"visnan", [](vec<T>, vec<T> b) { return visnan(b); },
         [](T, T b) { return std::isnan(b); }},
        {"mnot", [](vec<T> a, vec<T> b) { return mnot(vlt(a, b)); },
         [](T a, T b) { return !(a < b); }},
        {"mand", [](vec<T> a, vec<T> b) { return mand(vle(a, b), visnan(b - b)); },
         [](T a, T b) { return a <= b && !std::isfinite(b); }},
        {"mor", [](vec<T> a, vec<T> b) { return mor(vgt(a, b), visnan(b)); },
         [](T a, T b) { return a > b || std::isnan(b); }},
    };
    for (const auto &row : table) {
        trial<T> verdict(row.name);
        for_all_pairs<T>([&](const T *a, const T *b) {
            const mask<T> got = row.run(vload(a), vload(b));
            uint64_t want = 0;
            for (ptrdiff_t i = 0; i < vlanes(T{}); i++) want |= uint64_t(row.want(a[i], b[i])) << i;
            const uint64_t all = (uint64_t(1) << vlanes(T{})) - 1;
            verdict.expect(T(mbits(got)), T(want), a[0], b[0]);
            verdict.expect(T(many(got)), T(want != 0), a[0], b[0]);
            verdict.expect(T(mall(got)), T(want == all), a[0], b[0]);
        });
    }
}

template <class T> void check_mul_add() {
    trial<T> verdict("vmul_add");
    const std::vector<T> values = hostile_values<T>();
    for_all_pairs<T>([&](const T *a, const T *b) {
        for (T c : values) {
            T out[16];
            vstore(out, vmul_add(vload(a), vload(b), vset(c)));
            for (ptrdiff_t i = 0; i < vlanes(T{}); i++) {
                volatile T product = a[i] * b[i];
                verdict.expect(out[i], FM_HAS_FMA ? std::fma(a[i], b[i], c) : product + c, a[i],
                               b[i]);
            }
        }
    });
}

// The last n elements before an inaccessible page.
template <class T> T *end_of_page() {
    const size_t page = size_t(sysconf(_SC_PAGESIZE));
    char *pages = static_cast<char *>(
        mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) != 0) abort();
    return reinterpret_cast<T *>(pages + page);
}

template <class T> void check_memory() {
    const ptrdiff_t lanes = vlanes(T{});
    T *end = end_of_page<T>();
    const auto fill = [&] {
        for (ptrdiff_t i = -2 * lanes; i < 0; i++) end[i] = T(i);
    };
    trial<T> load("vload"), store("vstore"), load_partial("vload_partial"),
        store_partial("vstore_partial"), tail("mtail");
    for (ptrdiff_t n = 0; n <= lanes; n++) {
        T source[16], out[16];
        for (ptrdiff_t i = 0; i < lanes; i++) source[i] = T(10 + i);
        fill();
        vstore(out, vload_partial(end - n, n));
        for (ptrdiff_t i = 0; i < lanes; i++)
            load_partial.expect(out[i], i < n ? T(i - n) : T(0), T(n), T(i));

        vstore_partial(end - n, vload(source), n);
        // And once more with accessible memory behind, which must stay as it was.
        vstore_partial(end - 2 * lanes, vload(source), n);
        for (ptrdiff_t i = -2 * lanes; i < 0; i++) {
            const bool at_end = i >= -n, at_start = i + 2 * lanes < n;
            const T want = T(at_end ? 10 + i + n : at_start ? 10 + i + 2 * lanes : i);
            store_partial.expect(end[i], want, T(n), T(i));
        }
        tail.expect(T(mbits(mtail(T{}, n))), T((uint64_t(1) << n) - 1), T(n), T(0));

        // Whole vectors at every alignment, the first of them up to the end of the page.
        fill();
        T *whole = end - lanes - n;
        vstore(out, vload(whole));
        vstore(whole, vset(T(7)));
        for (ptrdiff_t i = 0; i < lanes; i++) {
            load.expect(out[i], T(i - lanes - n), T(n), T(i));
            store.expect(whole[i], T(7), T(n), T(i));
        }
        for (ptrdiff_t i = -n; i < 0; i++) store.expect(end[i], T(i), T(n), T(i));
    }

    trial<T> set("vset"), zero("vec()");
    for (T x : hostile_values<T>()) {
        T out[16], nothing[16];
        vstore(out, vset(x));
        vstore(nothing, vec<T>());
        for (ptrdiff_t i = 0; i < lanes; i++) {
            set.expect(out[i], x, x, T(i));
            zero.expect(nothing[i], T(0), x, T(i));
        }
    }
}

// Stores past the caches, permutations, and between float and double.
template <class T> void check_streams() {
    const ptrdiff_t lanes = vlanes(T{});
    trial<T> verdict("vstream");
    const std::vector<T> values = hostile_values<T>();
    alignas(64) T out[16];
    for (size_t start = 0; start + size_t(lanes) <= values.size(); start++) {
        vstream(out, vload(values.data() + start));
        vstream_end();
        for (ptrdiff_t i = 0; i < lanes; i++)
            verdict.expect(out[i], values[start + size_t(i)], T(start), T(i));
    }
}

template <class T> void check_picks() {
    const ptrdiff_t lanes = vlanes(T{});
    trial<T> verdict("vpick");
    const std::vector<T> values = hostile_values<T>();
    std::mt19937_64 random(2);
    for (size_t start = 0; start + size_t(lanes) <= values.size(); start++) {
        T where[16], out[16];
        for (ptrdiff_t i = 0; i < lanes; i++) where[i] = T(random() % uint64_t(lanes));
        vstore(out, vpick(vload(values.data() + start), picks<T>(vload(where))));
        for (ptrdiff_t i = 0; i < lanes; i++)
            verdict.expect(out[i], values[start + size_t(where[i])], T(start), where[i]);
    }
}

void check_conversions() {
    const ptrdiff_t lanes = vlanes(0.0);
    trial<double> widen("vwiden");
    trial<float> narrow("vnarrow");
    const std::vector<float> values = hostile_values<float>();
    const std::vector<double> wide_values = hostile_values<double>();
    for (size_t start = 0; start + 16 <= values.size(); start++) {
        double low[8], high[8];
        float both[16];
        vstore(low, vwiden_low(vload(values.data() + start)));
        vstore(high, vwiden_high(vload(values.data() + start)));
        vstore(both, vnarrow(vload(wide_values.data() + start),
                             vload(wide_values.data() + start + lanes)));
        for (size_t i = 0; i < size_t(lanes); i++) {
            widen.expect(low[i], values[start + i], double(start), double(i));
            widen.expect(high[i], values[start + size_t(lanes) + i], double(start), double(i));
            narrow.expect(both[i], float(wide_values[start + i]), float(start), float(i));
            narrow.expect(both[size_t(lanes) + i], float(wide_values[start + size_t(lanes) + i]),
                          float(start), float(i));
        }
    }
}

template <class T> void check_reductions() {
    const std::vector<T> values = hostile_values<T>();
    const ptrdiff_t lanes = vlanes(T{});
    trial<T> sum("vsum"), reduce_min("vreduce_min"), reduce_max("vreduce_max");
    std::mt19937_64 random(1);
    for (int round = 0; round < 100000; round++) {
        T x[16], folded[16];
        for (ptrdiff_t i = 0; i < lanes; i++)
            x[i] = round % 4 ? T(double(random() >> 11) * 0x1p-52 - 1)
                             : values[random() % values.size()];
        T low = x[0], high = x[0];
        for (ptrdiff_t i = 0; i < lanes; i++) {
            folded[i] = x[i];
            low = nan_or(low, x[i], std::min(low, x[i]));
            high = nan_or(high, x[i], std::max(high, x[i]));
        }
        for (ptrdiff_t half = lanes / 2; half; half /= 2)
            for (ptrdiff_t i = 0; i < half; i++) folded[i] = folded[i] + folded[i + half];
        const vec<T> v = vload(x);
        sum.expect(vsum(v), folded[0], x[0], x[1]);
        // Which of two equal zeros comes out is not specified: + 0 makes them one.
        reduce_min.expect(vreduce_min(v) + T(0), low + T(0), x[0], x[1]);
        reduce_max.expect(vreduce_max(v) + T(0), high + T(0), x[0], x[1]);
    }
}

// A function, its value in a wider type, the error allowed, and the points around which every
// neighbour is tried.
template <class T> struct function {
    const char *name;
    vec<T> (*run)(vec<T>);
    long double (*want)(T);
    double max_ulp;
    double first, last; // float64: half of the random arguments are drawn from this range
    std::vector<double> critical;
};

// glibc's double functions err by less than 1e-9 of a float ulp, and are much faster.
template <class T>
using wide = typename std::conditional<sizeof(T) == 4, double, long double>::type;

template <class T> long double sigmoid(T x) {
    const wide<T> e = std::exp(-std::fabs(wide<T>(x)));
    return std::isnan(x) ? x : (x < 0 ? e : 1) / (1 + e);
}

template <class T> long double power(T x, T p) {
    return p == 0 ? 1 : x < 0 ? NAN : std::pow(wide<T>(x == 0 ? 0 : x), wide<T>(p));
}

// A row of `functions` for a fixed exponent.
#define POWER(p, max_ulp)                                                                          \
    {"vpow(x," #p ")", [](vec<T> x) { return vpow(x, vset(T(p))); },                               \
     [](T x) { return power(x, T(p)); }, max_ulp, 0, 4, around_power}

template <class T> std::vector<function<T>> functions() {
    typedef wide<T> W;
    constexpr bool narrow = sizeof(T) == 4;
    const double lowest = narrow ? -103.97 : -745.13, highest = narrow ? 88.7228 : 709.7827;
    std::vector<double> around_exp = {
        lowest, highest, narrow ? -87.3365 : -708.3964, -0x1p-149, 1e-300, 1e-30, 1, 1000, 1e30};
    for (int n = 1; n < 40; n += 2) around_exp.push_back((n - 20) * 0.34657359027997264);
    std::vector<double> around_log = {
        std::sqrt(0.5), std::sqrt(2.0), 0.5, 1, 2, -1, 1e30, std::numeric_limits<T>::min()};
    std::vector<double> around_log1p = {
        std::sqrt(0.5) - 1, std::sqrt(2.0) - 1, -0.5, -1, -2, 0x1p-24, 0x1p24, 0x1p-53, 0x1p53};
    std::vector<double> around_sigmoid = around_exp;
    for (double x : around_exp) around_sigmoid.push_back(-x);
    const std::vector<double> around_tanh = {0.625, -0.625, 9.01, 9.5, 19.06, 20, -20};
    const std::vector<double> around_erf = {1, -1, 3.92, 3.95, 5.92, 5.95, -5.95};
    const std::vector<double> around_power = {
        std::sqrt(0.5), std::sqrt(2.0), 0.5, 1, 2, 1e3, 1e30, 1e-30, std::numeric_limits<T>::min()};
    return {{"vexp", [](vec<T> x) { return vexp(x); }, [](T x) { return (long double)std::exp(W(x)); },
             1, lowest - 5, highest + 5, around_exp},
            {"vlog", [](vec<T> x) { return vlog(x); }, [](T x) { return (long double)std::log(W(x)); },
             1, 0.3, 3, around_log},
            {"vexpm1", [](vec<T> x) { return vexpm1(x); },
             [](T x) { return (long double)std::expm1(W(x)); }, 1.25, -5, 5, around_exp},
            {"vlog1p", [](vec<T> x) { return vlog1p(x); },
             [](T x) { return (long double)std::log1p(W(x)); }, 1, -1, 2, around_log1p},
            {"vlog1p_unit(min(|x|,1))",
             [](vec<T> x) { return vlog1p_unit(vmin_fast(vset(T(1)), vabs(x))); },
             [](T x) { return (long double)std::log1p(std::fabs(x) > 1 ? 1 : std::fabs(W(x))); },
             1.5, 0, 1, around_log1p},
            {"vtanh", [](vec<T> x) { return vtanh(x); },
             [](T x) { return (long double)std::tanh(W(x)); }, 1.5, -2, 2, around_tanh},
            {"vsigmoid", [](vec<T> x) { return vsigmoid(x); }, [](T x) { return sigmoid(x); }, 1.75,
             -40, 20, around_sigmoid},
            {"verf", [](vec<T> x) { return verf(x); },
             [](T x) { return (long double)std::erf(W(x)); }, 1.5, -4, 4, around_erf},
            POWER(3, 1.5), POWER(0.3, 1.5), POWER(-2.7, 1.5), POWER(10, 3), POWER(0, 0.001)};
}
#undef POWER

// |got - want| in units in the last place of want; infinity where NaN or an infinity is wrong. An
// overflow that comes one ulp early is counted as such.
template <class T> double ulp_error(T got, long double want) {
    typedef std::numeric_limits<T> limits;
    if (std::isnan(want) || std::isnan(got))
        return std::isnan(want) && std::isnan(got) ? 0 : INFINITY;
    if (T(want) == got) {
        if (std::isinf(got) || got == 0)
            return std::signbit(got) == std::signbit(want) ? 0 : INFINITY;
    } else if (std::isinf(want)) {
        return INFINITY;
    }
    int exponent;
    (void)std::frexp(want, &exponent);
    exponent = std::max(std::min(exponent, limits::max_exponent), limits::min_exponent);
    const long double value =
        std::isinf(got) ? std::copysign(std::ldexp(1.0L, limits::max_exponent), (long double)got)
                        : got;
    return double(std::fabs(std::ldexp(value - want, limits::digits - exponent)));
}

template <class T> struct worst_case {
    double ulp = 0;
    T at = 0;
    void update(const function<T> &f, const T *x) {
        T out[16];
        vstore(out, f.run(vload(x)));
        for (ptrdiff_t i = 0; i < vlanes(T{}); i++) {
            const double error = ulp_error(out[i], f.want(x[i]));
            if (!(error <= ulp)) {
                ulp = error;
                at = x[i];
            }
        }
    }
};

template <class Bits, class T> T from_pattern(Bits bits) {
    T x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// A value must not depend on its neighbours in the vector: log looks at a whole vector at once.
template <class T> void check_neighbours(const function<T> &f) {
    trial<T> verdict(f.name);
    const std::vector<T> values = hostile_values<T>();
    std::mt19937_64 random(2);
    for (int round = 0; round < 100000; round++) {
        T x[16], mixed[16], alone[16];
        const size_t n_hostile = random() % 4;
        for (size_t i = 0; i < 16; i++)
            x[i] = i < n_hostile ? values[random() % values.size()]
                                 : T(double(random() >> 11) * 0x1p-50);
        std::shuffle(x, x + vlanes(T{}), random);
        vstore(mixed, f.run(vload(x)));
        for (ptrdiff_t i = 0; i < vlanes(T{}); i++) {
            vstore(alone, f.run(vset(x[i])));
            verdict.expect(mixed[i], alone[i], x[i], x[0]);
        }
    }
}

// float32: blocks of neighbouring bit patterns all over the 2^32 (more than 3 x 10^4 in each exponent);
// float64: random bit patterns and random values of the interesting range.
template <class T> void check_math() {
    typedef typename std::conditional<sizeof(T) == 4, uint32_t, uint64_t>::type bits;
    const ptrdiff_t lanes = vlanes(T{});
    std::mt19937_64 random(3);
    for (const auto &f : functions<T>()) {
        // The others are made of exp and log and are given less time.
        const int share = strcmp(f.name, "vexp") == 0 || strcmp(f.name, "vlog") == 0 ? 4 : 48;
        worst_case<T> worst;
        T x[16];
        const auto try_from = [&](bits start) {
            for (ptrdiff_t i = 0; i < lanes; i++)
                x[i] = from_pattern<bits, T>(bits(start + bits(i)));
            worst.update(f, x);
        };
        if (sizeof(T) == 4) {
            for (uint64_t start = 0; start >> 32 == 0; start += share * 61 * uint64_t(lanes))
                try_from(bits(start));
        } else {
            for (int round = 0; round < 10000000 / share; round += int(lanes)) {
                for (ptrdiff_t i = 0; i < lanes; i++)
                    x[i] = round % 32 < 16
                               ? from_pattern<bits, T>(bits(random()))
                               : T(f.first + (f.last - f.first) * double(random() >> 11) * 0x1p-53);
                worst.update(f, x);
            }
        }
        std::vector<T> critical = hostile_values<T>();
        critical.insert(critical.end(), f.critical.begin(), f.critical.end());
        for (T point : critical) {
            bits centre;
            memcpy(&centre, &point, sizeof centre);
            for (bits offset = 0; offset < 8192; offset += bits(lanes))
                try_from(centre - 4096 + offset);
        }
        report<T>(f.name, worst.ulp < f.max_ulp, worst.ulp, worst.at);
        check_neighbours(f);
    }
}

template <class T> int evaluate(const char *name) {
    for (const auto &f : functions<T>()) {
        if (strcmp(f.name + 1, name) != 0) continue;
        T out[16];
        for (double x; scanf("%la", &x) == 1;) {
            vstore(out, f.run(vset(T(x))));
            printf("%a\n", double(out[0]));
        }
        return 0;
    }
    fprintf(stderr, "no function %s\n", name);
    return 2;
}

template <class T> void check_all() {
    check_unary<T>();
    check_binary<T>();
    check_comparisons<T>();
    check_mul_add<T>();
    check_memory<T>();
    check_reductions<T>();
    check_streams<T>();
    check_picks<T>();
    check_math<T>();
}

int main(int argc, char **argv) {
    if (argc == 3)
        return strcmp(argv[2], "float") == 0 ? evaluate<float>(argv[1]) : evaluate<double>(argv[1]);
    printf("vectors of %d bytes, intrinsics %s, fma %s\n", FASTMATH_ML_VECTOR_BYTES,
           FM_X86 ? "x86" : "none", FM_HAS_FMA ? "yes" : "no");
    check_all<float>();
    check_all<double>();
    check_conversions();
    printf("%d failures\n", n_failures);
    return n_failures != 0;
}
