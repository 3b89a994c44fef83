// The register tile: a block of a matrix product that lives in vector registers.
//
// A tile is `rows` x `cols` elements of C = A B, rows <= tile_rows(T), cols <= tile_cols(T) (two
// vectors). For every step along the depth one row of B is loaded as vectors and meets a broadcast
// of each row's element of A: with r rows, r + 2 loads feed 2 r multiply-adds. Of the register file
// 2 r vectors accumulate, so r is 14 with 32 registers and 6 with 16.
//
// Measured on one core with AVX-512, L2-resident panels, depth 384, share of the FMA peak: 14 x 2
// 94 % (float32) and 91 % (float64), 12 x 2 92 and 90, 8 x 3 94 and 87, 6 x 4 93 and 85; with AVX2
// 6 x 2 98 and 92, 4 x 3 98 and 91. The narrow tile wins ties: its edge wastes less.
//
// Every element of C is one chain of multiply-adds in the order of the depth, whatever the shape of
// the tile that holds it: results do not depend on how a matrix is cut into tiles.
//
// There is one function per number of rows, so that an edge tile does no idle work; the last vector
// of an edge tile is loaded and stored under a mask.
#ifndef FASTMATH_ML_TILE_H
#define FASTMATH_ML_TILE_H

#include <type_traits>
#include <utility>

#include "integers.h"

namespace fm {

#if FASTMATH_ML_VECTOR_BYTES == 64 || defined(__aarch64__)
constexpr int max_rows = 14;
#else
constexpr int max_rows = 6;
#endif
constexpr int max_vectors = 2;

// With mask registers a masked load costs next to nothing beside a whole one: tiles that read A in
// place need no functions of their own for a last vector that is whole. (Tiles of one vector do:
// under a mask a stack of 16 x 16 took 1.8 times as long.)
#ifdef __AVX512F__
constexpr bool masks_are_free = true;
#else
constexpr bool masks_are_free = false;
#endif

template <class T> FM_INLINE constexpr ptrdiff_t tile_rows(T) { return max_rows; }
template <class T> FM_INLINE constexpr ptrdiff_t tile_cols(T) { return max_vectors * vlanes(T{}); }

// Of tiles of equal height for n rows.
FM_INLINE constexpr ptrdiff_t even_height(ptrdiff_t n, ptrdiff_t max_height) {
    return n <= max_height ? n : ceil_div(n, ceil_div(n, max_height));
}

// Of how many steps of the depth a tile asks for one cache line at operands::next; 0: for none. Asked
// for one by one, lines cost a load each. In a burst they fill the queue of misses, and the tile's own
// loads stand behind them: that made 1.3 times (one thread) to 1.6 times (two) of a sweep over X.
FM_INLINE constexpr int steps_per_line(int rows, int vectors, bool unit_rows, bool tail) {
    if (rows <= max_rows / 2) return 0;
    if (vectors == 1) return unit_rows || rows < max_rows ? 0 : 2;
    return unit_rows && !tail ? 4 : 0;
}

template <class T> struct operands {
    ptrdiff_t depth;
    const T *a;            // element (i, p) of A at a[i * a_row + p * a_depth]
    ptrdiff_t a_row, a_depth;
    const T *b;            // element (p, j) of B at b[p * b_depth + j]
    ptrdiff_t b_depth;
    const T *next;         // a large tile brings lines_asked() cache lines from here into L2; or b
    ptrdiff_t row, col;    // where the tile stands in C, and what belongs to its rows and columns:
    const void *context;   // for kernels that finish the elements while they are in registers
};

// What happens to the elements of a tile after its last step: nothing. A finish is an object per
// tile, so that what it needs of the context is read once and stays in registers: the stores to C
// might change the context, for all that the compiler knows.
struct keep {
    static constexpr bool packed_only = false;
    template <class T> struct on {
        FM_ALWAYS_INLINE explicit on(const operands<T> &) {}
        FM_ALWAYS_INLINE vec<T> finish(vec<T> element, int, int) { return element; }
        FM_ALWAYS_INLINE void done() {}
    };
};

// The same, for kernels that pack every operand: half as many functions.
struct keep_packed : keep {
    static constexpr bool packed_only = true;
};

// The same for sums of quads that begin with what the context, tile_terms, has for their row and column.
#if FM_HAS_VNNI
struct with_terms : keep_packed {};
#else
typedef keep_packed with_terms;
#endif
struct tile_terms {
    const quad *rows, *cols;
};

// The same for sums that begin with those in C where others are added to C in the end: that is what
// `accumulate` means to them.
struct resume : keep_packed {};

// The sums have constant indices everywhere (folds, not loops) and are no objects with constructors.
// Otherwise GCC sees that they fit registers only where nothing but plain loads stands between: of
// a masked load it believes that it may read them, and the narrow masked tiles wrote all sums to
// the stack in every step (at 0.4 of the speed).
template <class T, int rows, int vectors> struct tile {
    typename vec<T>::native sum[rows][vectors] = {};

    template <int i> FM_ALWAYS_INLINE void add_row(vec<T> a, const vec<T> (&b)[vectors]) {
        sum[i][0] = vmul_add(a, b[0], vec<T>(sum[i][0])).v;
        if constexpr (vectors > 1) sum[i][1] = vmul_add(a, b[1], vec<T>(sum[i][1])).v;
    }

    // One step of the depth. tail: the last vector of B has only `last` columns, and memory beyond
    // them is not touched.
    template <int group, bool tail, int... i>
    FM_ALWAYS_INLINE void step(const T *const *a, ptrdiff_t a_row, const T *b, ptrdiff_t last,
                               std::integer_sequence<int, i...>) {
        vec<T> b_row[vectors];
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++)
            b_row[j] = tail && j == vectors - 1 ? vload_partial(b + j * vlanes(T{}), last)
                                                : vload(b + j * vlanes(T{}));
        (add_row<i>(vset(a[i / group][i % group * a_row]), b_row), ...);
    }

    // ahead: the tile below this one is asked for, with unit_rows. in_place: lines may be asked for by
    // tiles that read A in place, too (half of a kilobyte of code each).
    template <bool unit_rows, bool tail, bool ahead = false, bool in_place = false>
    FM_ALWAYS_INLINE void multiply(const operands<T> &x, ptrdiff_t last, const T *c,
                                   ptrdiff_t c_row) {
        const T *b = x.b;
        const ptrdiff_t a_row = unit_rows ? 1 : x.a_row;
        // Rows of A with a stride: a pointer for each five of them, and four offsets. GCC would
        // take one pointer and an offset for each row, more than there are registers, and fetch
        // some of them from memory in every step; here it does not see that pointers are related.
        constexpr int group = unit_rows ? rows : 5, groups = int(ceil_div(rows, group));
        const T *a[groups];
#pragma GCC unroll 3
        for (int g = 0; g < groups; g++) {
            a[g] = x.a + g * group * a_row;
            if (!unit_rows) asm("" : "+r"(a[g]));
        }
        const ptrdiff_t a_depth = x.a_depth, b_depth = x.b_depth;
        auto step = [&]() __attribute__((always_inline)) {
            this->template step<group, tail>(a, a_row, b, last,
                                             std::make_integer_sequence<int, rows>{});
#pragma GCC unroll 3
            for (int g = 0; g < groups; g++) a[g] += a_depth;
            b += b_depth;
        };
        ptrdiff_t p = x.depth;
        const char *next = reinterpret_cast<const char *>(x.next);
        // Integers multiply in several instructions each: the loop around them costs nothing.
        constexpr bool unrolled = std::is_floating_point_v<T>;
        constexpr int pace = ahead ? 0 : steps_per_line(rows, vectors, unit_rows, tail);
        if constexpr (pace == 4)
            for (int i = 0; p >= 4; p -= 4, next += 64) {
                __builtin_prefetch(next, 0, 2);
                if (i < rows) {
                    __builtin_prefetch(c, 0, 2);
                    __builtin_prefetch(c + vlanes(T{}), 0, 2);
                    c += c_row;
                    i++;
                }
                step();
                if constexpr (unrolled) {
                    step();
                    step();
                    step();
                } else {
#pragma GCC unroll 1
                    for (int q = 1; q < 4; q++) step();
                }
            }
        if constexpr (pace == 2 && in_place)
            for (; p >= 2 && x.next != x.b; p -= 2, next += 64) {
                __builtin_prefetch(next, 0, 2);
                step();
                step();
            }
        for (; p > 0; p--) {
            if constexpr (ahead) __builtin_prefetch(a[0] + 2 * rows - 1);
            step();
        }
    }

    template <int... i>
    FM_ALWAYS_INLINE void begin(const tile_terms &terms, std::integer_sequence<int, i...>) {
        vec<T> cols[vectors];
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++) cols[j] = vload(terms.cols + j * vlanes(T{}));
        (begin_row<i>(vset(terms.rows[i]), cols), ...);
    }
    template <int i> FM_ALWAYS_INLINE void begin_row(vec<T> row, const vec<T> (&cols)[vectors]) {
        sum[i][0] = row.v + cols[0].v;
        if constexpr (vectors > 1) sum[i][1] = row.v + cols[1].v;
    }

    template <bool tail, int... i>
    FM_ALWAYS_INLINE void load(const T *c, ptrdiff_t c_row, ptrdiff_t last,
                               std::integer_sequence<int, i...>) {
        (load_row<tail, i>(c + i * c_row, last), ...);
    }
    template <bool tail, int i> FM_ALWAYS_INLINE void load_row(const T *c, ptrdiff_t last) {
        const T *end = c + (vectors - 1) * vlanes(T{});
        if constexpr (vectors > 1) sum[i][0] = vload(c).v;
        sum[i][vectors - 1] = (tail ? vload_partial(end, last) : vload(end)).v;
    }

    template <bool tail, class On, int... i>
    FM_ALWAYS_INLINE void store(On &on, T *c, ptrdiff_t c_row, ptrdiff_t last, bool accumulate,
                                std::integer_sequence<int, i...>) {
        (store_row<tail, i>(on, c + i * c_row, last, accumulate), ...);
    }
    template <bool tail, int i, class On>
    FM_ALWAYS_INLINE void store_row(On &on, T *c, ptrdiff_t last, bool accumulate) {
        store_vector<tail && vectors == 1, i, 0>(on, c, last, accumulate);
        if constexpr (vectors > 1)
            store_vector<tail, i, 1>(on, c + vlanes(T{}), last, accumulate);
    }
    template <bool tail, int i, int j, class On>
    FM_ALWAYS_INLINE void store_vector(On &on, T *c, ptrdiff_t last, bool accumulate) {
        vec<T> element(sum[i][j]);
        if (tail) {
            if (accumulate) element = element + vload_partial(c, last);
            vstore_partial(c, on.finish(element, i, j), last);
        } else {
            if (accumulate) element = element + vload(c);
            vstore(c, on.finish(element, i, j));
        }
    }
};

template <class T>
using tile_function = void (*)(const operands<T> &, T *c, ptrdiff_t c_row, ptrdiff_t last,
                               bool accumulate);

template <class T, class Finish, int rows, int vectors, bool unit_rows, bool tail>
void product_tile(const operands<T> &x, T *c, ptrdiff_t c_row, ptrdiff_t last, bool accumulate) {
    tile<T, rows, vectors> t;
    const std::make_integer_sequence<int, rows> all;
    constexpr bool resumes = std::is_same_v<Finish, resume>;
    if constexpr (resumes) {
        if (accumulate) t.template load<tail>(c, c_row, last, all);
        accumulate = false;
    }
#if FM_HAS_VNNI
    if constexpr (std::is_same_v<Finish, with_terms>)
        t.begin(*static_cast<const tile_terms *>(x.context), all);
#endif
    constexpr bool keeps = std::is_same_v<Finish, keep>;
    t.template multiply<unit_rows, tail, resumes, keeps>(x, last, c, c_row);
    typename Finish::template on<T> on(x);
    t.template store<tail>(on, c, c_row, last, accumulate, all);
    on.done();
}

template <class T, class Finish, int vectors, bool unit_rows, bool tail, int... index>
FM_INLINE tile_function<T> select_rows(ptrdiff_t rows, std::integer_sequence<int, index...>) {
    static constexpr tile_function<T> table[] = {
        product_tile<T, Finish, index + 1, vectors, unit_rows, tail>...};
    return table[rows - 1];
}
template <class T, class Finish, int vectors, bool unit_rows>
FM_INLINE tile_function<T> select_tail(ptrdiff_t rows, bool tail) {
    const std::make_integer_sequence<int, max_rows> all;
    if constexpr (!masks_are_free || unit_rows || vectors < max_vectors)
        if (!tail) return select_rows<T, Finish, vectors, unit_rows, false>(rows, all);
    return select_rows<T, Finish, vectors, unit_rows, true>(rows, all);
}
template <class T, class Finish, int vectors>
FM_INLINE tile_function<T> select_layout(ptrdiff_t rows, bool tail, bool unit_rows) {
    if constexpr (!Finish::packed_only)
        if (!unit_rows) return select_tail<T, Finish, vectors, false>(rows, tail);
    return select_tail<T, Finish, vectors, true>(rows, tail);
}

// Whether the last vector of a tile is loaded and stored under a mask.
template <class T> FM_INLINE bool has_tail(ptrdiff_t cols, const operands<T> &x) {
    return cols % vlanes(T{}) || (masks_are_free && cols > vlanes(T{}) && x.a_row != 1);
}

// How many cache lines tile_product() asks for at x.next, where it finishes nothing.
template <class T>
FM_INLINE ptrdiff_t lines_asked(ptrdiff_t rows, ptrdiff_t cols, const operands<T> &x) {
    const int pace = steps_per_line(int(rows), cols > vlanes(T{}) ? 2 : 1, x.a_row == 1,
                                    has_tail(cols, x));
    return pace ? x.depth / pace : 0;
}

// C tile (+)= A B, finished, for any rows <= tile_rows(T), cols <= tile_cols(T); C has unit column
// stride. Where Finish is packed_only, a_row is 1.
template <class T, class Finish>
FM_INLINE void tile_product(ptrdiff_t rows, ptrdiff_t cols, const operands<T> &x, T *c,
                            ptrdiff_t c_row, bool accumulate, Finish) {
    const ptrdiff_t lanes = vlanes(T{});
    const ptrdiff_t last = cols % lanes ? cols % lanes : lanes;
    const bool tail = has_tail(cols, x);
    const tile_function<T> function =
        cols > lanes ? select_layout<T, Finish, 2>(rows, tail, x.a_row == 1)
                     : select_layout<T, Finish, 1>(rows, tail, x.a_row == 1);
    function(x, c, c_row, last, accumulate);
}

}  // namespace fm

#endif
