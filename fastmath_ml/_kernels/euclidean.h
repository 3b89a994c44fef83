// Squared distances from a matrix product, |x - y|^2 = |x|^2 + |y|^2 - 2 x.y, made right where that
// form is not.
//
// The product form loses what |x|^2 + |y|^2 is larger than |x - y|^2. So a tile finishes with a test,
// per pair: below 1/16 of |x|^2 + |y|^2 (and wherever squares over- or underflow, or a NaN is about)
// the pair is *near*, and its distance is summed from the differences, on the metric tile, from the
// same packed panels. The test looks at the two rows alone, so a distance does not depend on what
// else stands in the matrix; the work is done for eight rows of a tile at once.
//
// Where a sum of squared differences is itself outside of what T holds well, the pair is computed
// once more with a scale of its own: in float64 for float32, by a power of two for float64.
//
// The alternatives: a float64 product for float32 data runs at half the speed throughout; summing
// all pairs from differences costs 2.2 times the product (AVX-512, 128 features) and would win only
// for data all of which is near.
#ifndef FASTMATH_ML_EUCLIDEAN_H
#define FASTMATH_ML_EUCLIDEAN_H

#include <math.h>

#include "flags.h"
#include "metric_tile.h"
#include "tile.h"
#include "transpose.h"

namespace fm {

constexpr double near_share = 1.0 / 16;
constexpr ptrdiff_t near_segment = 512; // features packed at once; a multiple of metric_block
constexpr int near_scratch_x = 2, near_scratch_y = 3;

// Squared distances outside of [smallest, largest] may have lost bits, or all of them.
template <class T> struct square_range;
template <> struct square_range<float> {
    static constexpr float smallest = 0x1p-100f, largest = 0x1p120f;
};
template <> struct square_range<double> {
    static constexpr double smallest = 0x1p-900, largest = 0x1p1000;
};

struct euclidean_context {
    const void *x, *y;                          // rows as they came
    ptrdiff_t x_row, x_depth, y_row, y_depth;   // strides in elements
    ptrdiff_t depth;
    const void *x_norms, *y_norms;              // squared, NaN where out of range; y_norms padded
    bool root;                                  // distances, not their squares
    bool x_packed, y_packed;                    // tiles come with whole rows
    void *(*scratch)(int slot, ptrdiff_t n_bytes);
    int *out_of_memory;
};

// The context of one tile.
struct tile_context {
    const euclidean_context &all;
    mutable bool found_near;    // a near pair, or something near in the lanes behind the last column
};

// Distances of far pairs, -1 for near ones.
struct squared_distance {
    static constexpr bool packed_only = true;
    template <class T> struct on {
        const tile_context &tile;
        const T *const x_norms, *const y_norms;
        const bool root;
        mask<T> all_far;
        FM_ALWAYS_INLINE explicit on(const operands<T> &x)
            : tile(*static_cast<const tile_context *>(x.context)),
              x_norms(static_cast<const T *>(tile.all.x_norms) + x.row),
              y_norms(static_cast<const T *>(tile.all.y_norms) + x.col), root(tile.all.root),
              all_far(mtail(T{}, vlanes(T{}))) {}
        FM_ALWAYS_INLINE vec<T> finish(vec<T> product, int i, int j) {
            const vec<T> size = vset(x_norms[i]) + vload(y_norms + j * vlanes(T{}));
            const vec<T> dist_sq = vmul_add(vset(T(-2)), product, size);
            const mask<T> far = vge(dist_sq, vmul_add(vset(T(near_share)), size,
                                                      vset(square_range<T>::smallest)));
            all_far = mand(all_far, far);
            return vselect(far, root ? vsqrt(dist_sq) : dist_sq, vset(T(-1)));
        }
        FM_ALWAYS_INLINE void done() { tile.found_near = !mall(all_far); }
    };
};

// Whether squared_distance left near pairs among some rows.
template <class T> bool any_near(ptrdiff_t rows, ptrdiff_t cols, const T *c, ptrdiff_t c_row) {
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < cols; j += vlanes(T{})) {
            const ptrdiff_t n = cols - j < vlanes(T{}) ? cols - j : vlanes(T{});
            if (many(vlt(vload_partial(c + i * c_row + j, n), vec<T>()))) return true;
        }
    return false;
}

// |x - y|, whatever the sizes of the elements.
static inline double scaled_distance(const float *x, ptrdiff_t x_stride, const float *y,
                                     ptrdiff_t y_stride, ptrdiff_t n) {
    double sum[8] = {};
    ptrdiff_t p = 0;
    for (; p + 8 <= n; p += 8)
        for (int i = 0; i < 8; i++) {
            const double d = double(x[(p + i) * x_stride]) - double(y[(p + i) * y_stride]);
            sum[i] += d * d;
        }
    for (; p < n; p++) {
        const double d = double(x[p * x_stride]) - double(y[p * y_stride]);
        sum[p % 8] += d * d;
    }
    return sqrt(((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7])));
}
static inline double scaled_distance(const double *x, ptrdiff_t x_stride, const double *y,
                                     ptrdiff_t y_stride, ptrdiff_t n) {
    double largest = 0;
    for (ptrdiff_t p = 0; p < n; p++) {
        const double d = fabs(x[p * x_stride] - y[p * y_stride]);
        if (!(d <= largest)) largest = d;
        if (d != d) return d;
    }
    if (largest == 0 || largest > 0x1.fffffffffffffp1023) return largest;
    int exponent;
    frexp(largest, &exponent);
    double sum = 0;
    for (ptrdiff_t p = 0; p < n; p++) {
        const double d = ldexp(x[p * x_stride] - y[p * y_stride], -exponent);
        sum += d * d;
    }
    return ldexp(sqrt(sum), exponent);
}

// Rows packed side by side, `width` of them with rows of zeros; writes up to a vector behind the end.
template <class T>
FM_INLINE void pack_rows(const T *rows, ptrdiff_t n_rows, ptrdiff_t row_stride, ptrdiff_t steps,
                         ptrdiff_t depth_stride, T *to, ptrdiff_t width) {
    if (n_rows < width) memset(to, 0, size_t(width * steps) * sizeof(T));
    pack_panel(n_rows, steps, rows, row_stride, depth_stride, static_cast<const T *>(nullptr), to,
               width, n_rows == width);
}

// The distances of the near pairs among `rows` <= height rows of a tile, which start at row `first`.
template <class T, int height>
void near_rows(ptrdiff_t first, ptrdiff_t rows, ptrdiff_t cols, const operands<T> &tile, T *c,
               ptrdiff_t c_row, const euclidean_context &all) {
    const ptrdiff_t lanes = vlanes(T{}), width = metric_cols(T{});
    T sums[height * max_vectors * FASTMATH_ML_VECTOR_BYTES / sizeof(T)];
    T dist_sq[height * max_vectors * FASTMATH_ML_VECTOR_BYTES / sizeof(T)];
    const T *x = static_cast<const T *>(all.x) + (tile.row + first) * all.x_row;
    const T *y = static_cast<const T *>(all.y) + tile.col * all.y_row;
    metric_operands pairs = {};
    pairs.sums = sums;
    pairs.from_zero = true;
    pairs.as_surrogate = true;
    // A tile that comes with its last block of features stands at the end of a packed panel of Y.
    pairs.y = tile.b - (all.depth - tile.depth) * width;
    pairs.x = tile.a + first;
    pairs.x_depth = tile.a_depth;
    T *to_x = nullptr, *to_y = nullptr;
    if (!all.x_packed) {
        to_x = static_cast<T *>(all.scratch(near_scratch_x, (near_segment * height + lanes) * sizeof(T)));
        pairs.x = to_x;
        pairs.x_depth = height;
    }
    if (!all.y_packed) {
        to_y = static_cast<T *>(all.scratch(near_scratch_y, (near_segment + 1) * width * sizeof(T)));
        pairs.y = to_y;
    }
    if (!pairs.x || !pairs.y) {
        raise_flag(all.out_of_memory);
        return;
    }
    const ptrdiff_t segment = !to_x && !to_y ? all.depth : near_segment;
    for (ptrdiff_t p = 0; p < all.depth; p += segment) {
        pairs.depth = all.depth - p < segment ? all.depth - p : segment;
        pairs.from_zero = p == 0;
        pairs.goes_on = p + pairs.depth < all.depth;
        if (to_x)
            pack_rows(x + p * all.x_depth, rows, all.x_row, pairs.depth, all.x_depth, to_x, height);
        if (to_y)
            pack_rows(y + p * all.y_depth, cols, all.y_row, pairs.depth, all.y_depth, to_y, width);
        metric_tile<T, distance_sq, height>(rows, cols, pairs, dist_sq, width);
        if (!to_y) pairs.y = static_cast<const T *>(pairs.y) + pairs.depth * width;
    }
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < cols; j += lanes) {
            const ptrdiff_t n = cols - j < lanes ? cols - j : lanes;
            T *to = c + (first + i) * c_row + j;
            const vec<T> found = vload_partial(to, n);
            const vec<T> sum = vload_partial(dist_sq + i * width + j, n);
            const mask<T> near = mand(vlt(found, vec<T>()), mtail(T{}, n));
            const mask<T> held = mand(vge(sum, vset(square_range<T>::smallest)),
                                      vle(sum, vset(square_range<T>::largest)));
            const vec<T> result = all.root ? vsqrt(sum) : sum;
            vstore_partial(to, vselect(near, result, found), n);
            for (uint64_t left = mbits(mand(near, mnot(held))); left; left &= left - 1) {
                const ptrdiff_t at = __builtin_ctzll(left);
                const double d = scaled_distance(x + i * all.x_row, all.x_depth,
                                                 y + (j + at) * all.y_row, all.y_depth, all.depth);
                to[at] = T(all.root ? d : d * d);
            }
        }
}

// A tile of (squared) distances: tile_product, and the near pairs.
template <class T>
void euclidean_tile(ptrdiff_t rows, ptrdiff_t cols, const operands<T> &x, T *c, ptrdiff_t c_row,
                    bool accumulate) {
    constexpr int height = metric_height<distance_sq>();
    const auto &all = *static_cast<const euclidean_context *>(x.context);
    const tile_context context = {all, false};
    operands<T> own = x;
    own.context = &context;
    tile_product(rows, cols, own, c, c_row, accumulate, squared_distance());
    if (!context.found_near) return;
    for (ptrdiff_t first = 0; first < rows; first += height) {
        const ptrdiff_t n = rows - first < height ? rows - first : height;
        if (any_near(n, cols, c + first * c_row, c_row))
            near_rows<T, height>(first, n, cols, x, c, c_row, all);
    }
}

}  // namespace fm

#endif
