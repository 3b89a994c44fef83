// One query against a database: each row is read once, where it lies, and nothing is packed.
//
// Memory is the limit here, so that shuffles and arithmetic must hide behind it. Two kernels:
//
//   stream_rows       float, double and float16 rows. A block of lanes x lanes elements is transposed in
//                     registers, so that a lane is a row and its sum the same chain of multiply-adds
//                     as in the register tile: one query gives the bits that many give. 32 rows
//                     at a time (with AVX-512) have four independent chains, two of products and two
//                     of squared norms, and the next rows are prefetched meanwhile.
//   stream_integers   int8 rows. Sums of whole numbers are exact in any order: the pairs of
//                     integers.h, lanes along the row, and the sums of a block's rows in one go.
#ifndef FASTMATH_ML_SEARCH_STREAM_H
#define FASTMATH_ML_SEARCH_STREAM_H

#include "half.h"
#include "search_tile.h"
#include "transpose.h"
#include "wide_sums.h"

namespace fm {

// n elements, other lanes 0, as those of wide_sums.h.
FM_INLINE vec<float> load_as(float, const float16 *p, ptrdiff_t n) {
    return n < vlanes(0.0f) ? vload_half_partial(p, n) : vload_half(p);
}
FM_INLINE vec<double> load_as(double, const float16 *p, ptrdiff_t n) {
    double part[FASTMATH_ML_VECTOR_BYTES / 8] = {};
    for (ptrdiff_t i = 0; i < n; i++) part[i] = to_float(p[i]);
    return vload(part);
}

// to[p * width + i] = y[i * stride + p]: a panel, for the rare rows that need care.
template <class T>
void unpack_half(const float16 *y, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t depth, T *to,
                 ptrdiff_t width) {
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t p = 0; p < depth; p++) to[p * width + i] = to_float(y[i * stride + p]);
}

// What a stream of rows is compared with: one row of candidates.
template <class T> struct query {
    const T *x;               // scaled, contiguous
    ptrdiff_t depth;
    bool scaled, with_norms;  // the term: 1 / norm; the squared norm, else 0
};

// Products with the query and squared norms of `rows` <= 2 lanes contiguous rows, each in the order
// of the register tile. `ahead`: elements from a row to what is to be prefetched with it.
template <class T, class Source>
FM_INLINE void stream_sums(const query<T> &q, const Source *y, ptrdiff_t stride, ptrdiff_t rows,
                           ptrdiff_t ahead, vec<T> *sum, vec<T> *norm) {
    constexpr ptrdiff_t lanes = FASTMATH_ML_VECTOR_BYTES / ptrdiff_t(sizeof(T));
    sum[0] = sum[1] = norm[0] = norm[1] = vec<T>();
    for (ptrdiff_t chain_at = 0; chain_at < q.depth; chain_at += chain_length(T{})) {
        const ptrdiff_t end = std::min(chain_at + chain_length(T{}), q.depth);
        vec<T> sum_part[2], norm_part[2];
        for (ptrdiff_t p = chain_at; p < end; p += lanes) {
            const ptrdiff_t steps = std::min(lanes, end - p);
#pragma GCC unroll 2
            for (int v = 0; v < 2; v++) {
                vec<T> block[lanes];
                const ptrdiff_t n = std::min(lanes, rows - v * lanes);
                if (n == lanes && steps == lanes) {
                    const Source *row = y + v * lanes * stride + p;
#pragma GCC unroll 16
                    for (ptrdiff_t i = 0; i < lanes; i++, row += stride) {
                        // One pointer that goes from row to row, where GCC would keep one for each
                        // in memory: 1.08 times as fast, but where memory is the limit.
                        if (sizeof(Source) < sizeof(T)) asm("" : "+r"(row));
                        __builtin_prefetch(row + ahead, 0, 2);
                        block[i] = load_as(T{}, row, lanes);
                    }
                } else {
#pragma GCC unroll 16
                    for (ptrdiff_t i = 0; i < lanes; i++)
                        if (i < n)
                            block[i] = load_as(T{}, y + (v * lanes + i) * stride + p, steps);
                }
                vtranspose(block);
                const T *x = q.x + p;
                if (steps == lanes) {
#pragma GCC unroll 16
                    for (ptrdiff_t k = 0; k < lanes; k++) {
                        sum_part[v] = vmul_add(vset(x[k]), block[k], sum_part[v]);
                        norm_part[v] = vmul_add(block[k], block[k], norm_part[v]);
                    }
                } else {
#pragma GCC unroll 16
                    for (ptrdiff_t k = 0; k < lanes; k++)
                        if (k < steps) {
                            sum_part[v] = vmul_add(vset(x[k]), block[k], sum_part[v]);
                            norm_part[v] = vmul_add(block[k], block[k], norm_part[v]);
                        }
                }
            }
        }
        for (int v = 0; v < 2; v++) {
            sum[v] = chain_at ? sum_part[v] + sum[v] : sum_part[v];
            norm[v] = norm[v] + norm_part[v];
        }
    }
}

template <class T> struct streamed {
    vec<T> values[2];
    bool unsafe;  // a norm lost bits, or is infinite: the rows are to be packed and scaled
};

template <class T, class Source>
FM_INLINE streamed<T> stream_values(const query<T> &q, const Source *y, ptrdiff_t stride,
                                    ptrdiff_t rows, ptrdiff_t ahead) {
    const ptrdiff_t lanes = vlanes(T{});
    vec<T> sum[2], norm[2];
    streamed<T> result;
    stream_sums(q, y, stride, rows, ahead, sum, norm);
    const vec<T> least = vset(least_safe_square<T>), most = vset(most_safe_square<T>);
    result.unsafe = false;
    for (int v = 0; v < 2; v++) {
        if (rows <= v * lanes) continue;
        if (q.scaled) {
            const mask<T> used = mtail(T{}, std::min(lanes, rows - v * lanes));
            const mask<T> safe = mand(vge(norm[v], least), vle(norm[v], most));
            result.unsafe |= many(mand(used, mnot(safe)));
            result.values[v] = sum[v] * (vset(T(1)) / vsqrt(norm[v]));
        } else if (q.with_norms) {
            result.unsafe |= many(veq(norm[v], vset(T(__builtin_inf()))));
            result.values[v] = sum[v] + norm[v];
        } else {
            result.values[v] = sum[v] + vec<T>();
        }
    }
    return result;
}

// Takes rows [0, n_rows) of y, first at index `first`. False for the first group of 2 lanes rows
// that is unsafe; *done is where it starts.
template <class T, class Source>
bool stream_rows(const query<T> &q, const Source *y, ptrdiff_t stride, ptrdiff_t n_rows,
                 int64_t first, const candidates<T> &found, ptrdiff_t *done) {
    const ptrdiff_t lanes = vlanes(T{}), width = 2 * lanes;
    for (ptrdiff_t row = *done; row < n_rows; row += width) {
        const ptrdiff_t rows = std::min(width, n_rows - row);
        const streamed<T> s = stream_values(q, y + row * stride, stride, rows, width * stride);
        *done = row;
        if (__builtin_expect(s.unsafe, 0)) return false;
        const vec<T> bound = vset(found.bound[0]);
        const uint64_t out = mbits(vge(s.values[0], bound)) | mbits(vge(s.values[1], bound))
                                                                  << lanes;
        const uint64_t bits = ((uint64_t(1) << rows) - 1) & ~out;
        if (__builtin_expect(bits != 0, 0)) {
            T values[2 * FASTMATH_ML_VECTOR_BYTES / sizeof(T)];
            vstore(values, s.values[0]);
            vstore(values + lanes, s.values[1]);
            take(found, 0, values, bits, first + row);
        }
    }
    *done = n_rows;
    return true;
}

// ---- int8 and uint8 ----

// n <= 2 lanes of bytes as int16, other ones 0.
template <class I> FM_INLINE vec<pair> load_pairs(const I *p, ptrdiff_t n) {
    constexpr ptrdiff_t whole = FASTMATH_ML_VECTOR_BYTES / 2;
    typedef lane<pair>::vector native;
#if FM_X86 == 64 && defined(__AVX512BW__)
    const __m256i bytes = n == whole
                              ? _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p))
                              : _mm256_maskz_loadu_epi8((__mmask32(1) << n) - 1, p);
    return vec<pair>(
        (native)(I(-1) < 0 ? _mm512_cvtepi8_epi16(bytes) : _mm512_cvtepu8_epi16(bytes)));
#else
    I part[whole] = {};
    if (n < whole) {
        memcpy(part, p, size_t(n));
        p = part;
    }
#if FM_X86 == 32
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
    return vec<pair>(
        (native)(I(-1) < 0 ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes)));
#elif FM_X86 == 16
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(p));
    return vec<pair>((native)(I(-1) < 0 ? _mm_cvtepi8_epi16(bytes) : _mm_cvtepu8_epi16(bytes)));
#else
    int16_t widened[whole];
    for (ptrdiff_t i = 0; i < whole; i++) widened[i] = p[i];
    native pairs;
    memcpy(&pairs, widened, sizeof(pairs));
    return vec<pair>(pairs);
#endif
#endif
}

// As stream_rows for integers: y.y - 2 x.y, -x.y / |y| or -x.y of the unscaled query, which ends with
// zeros up to a multiple of 32 elements; depth < 2^15, so that the sums are below 2^31.
template <class T, class I>
void stream_integers(const query<T> &q, const int16_t *x, const I *y, ptrdiff_t stride,
                     ptrdiff_t n_rows, int64_t first, const candidates<T> &found) {
    constexpr ptrdiff_t block = FASTMATH_ML_VECTOR_BYTES / 4, lanes = vlanes(T{});
    for (ptrdiff_t row = 0; row < n_rows; row += block) {
        const ptrdiff_t rows = std::min(block, n_rows - row);
        vec<uint32_t> dot_lanes[block], norm_lanes[block];
        for (ptrdiff_t i = 0; i < rows; i++) {
            const I *from = y + (row + i) * stride;
            vec<pair> dot, norm;
            for (ptrdiff_t p = 0; p < q.depth; p += 2 * block) {
                __builtin_prefetch(from + p + 2 * block * stride, 0, 2);
                const vec<pair> a = vload(reinterpret_cast<const pair *>(x + p));
                const vec<pair> b = load_pairs(from + p, std::min(2 * block, q.depth - p));
                dot = vmul_add(a, b, dot);
                norm = vmul_add(b, b, norm);
            }
            dot_lanes[i] = vec<uint32_t>(dot.v);
            norm_lanes[i] = vec<uint32_t>(norm.v);
        }
        uint32_t dots[block], norms[block];
        vsum_each<uint32_t, block>(dot_lanes, dots);
        vsum_each<uint32_t, block>(norm_lanes, norms);
        T dot_values[block], norm_values[block];
        for (ptrdiff_t i = 0; i < block; i++) {
            dot_values[i] = T(int32_t(dots[i]));
            norm_values[i] = T(int32_t(norms[i]));
        }
        for (ptrdiff_t v = 0; v < rows; v += lanes) {
            const vec<T> dot = vload(dot_values + v), norm = vload(norm_values + v);
            vec<T> value = -dot;
            if (q.scaled)
                value = vselect(veq(norm, vec<T>()), vec<T>(),
                                value * (vset(T(1)) / vsqrt(norm)));
            else if (q.with_norms)
                value = norm - (dot + dot);
            const uint64_t bits = ((uint64_t(1) << std::min(lanes, rows - v)) - 1)
                                  & ~mbits(vge(value, vset(found.bound[0])));
            if (__builtin_expect(bits != 0, 0)) {
                vstore(dot_values, value);
                take(found, 0, dot_values, bits, first + row + v);
            }
        }
    }
}

}  // namespace fm

#endif
