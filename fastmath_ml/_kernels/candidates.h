// The k best of a stream of (value, index) pairs, for many rows at once.
//
// Values become integer keys of the same order (NaN last, -0 equal to 0), so that one total order
// serves float32 and float64 and can be searched by bisection. A row keeps an unordered buffer of
// candidates in the order of their indices. What is not below the row's bound never enters; a full
// buffer is cut back to its k smallest, which tightens the bound. Ties: the buffer is in index
// order, so the first of equal keys are those to keep. The result is the exact k smallest by
// (key, index), whatever the order of blocks and the size of the buffer.
//
// The k-th smallest key is found by bisecting the range of keys and counting, since counting has no
// branches and runs at a vector a cycle: 164 candidates are cut to 100 in about 0.1 us. A heap of
// 100 costs a mispredicted branch per level for each of its 800 insertions among 10^5 values.
#ifndef FASTMATH_ML_CANDIDATES_H
#define FASTMATH_ML_CANDIDATES_H

#include <algorithm>
#include <utility>

#include "simd.h"

namespace fm {

template <class T> using key_of = typename lane<T>::integer;
template <class T> constexpr key_of<T> nan_key = ~lane<T>::sign_bit;

template <class T> FM_INLINE key_of<T> order_key(T value) {
    if (value != value) return nan_key<T>;
    value += T(0);  // -0 becomes 0
    key_of<T> bits;
    memcpy(&bits, &value, sizeof(T));
    return bits ^ (bits >> (8 * sizeof(T) - 1) & nan_key<T>);
}
template <class T> FM_INLINE T value_of(key_of<T> key) {
    key ^= key >> (8 * sizeof(T) - 1) & nan_key<T>;
    T value;
    memcpy(&value, &key, sizeof(T));
    return value;
}

// The candidates of some rows. bound[r] is NaN until row r has k candidates: `value >= bound` is
// false for NaN on either side, so that "not (value >= bound)" lets through all that may count.
template <class T> struct candidates {
    ptrdiff_t k, capacity;
    T *bound;
    ptrdiff_t *count;
    key_of<T> *keys;    // row r: keys[r * capacity], in index order
    int64_t *indices;
};

// Room for twice k, and for all that one tile can add to a row behind the point of cutting.
template <class T> FM_INLINE ptrdiff_t capacity_for(T, ptrdiff_t k) {
    return k == 1 ? 1 : k + std::max<ptrdiff_t>(k, 64) + 2 * vlanes(T{});
}
// From how many on take() cuts a row: the sooner, the tighter its bound.
FM_INLINE constexpr ptrdiff_t many_for(ptrdiff_t k) { return k + std::max<ptrdiff_t>(k / 2, 64); }
template <class T> FM_INLINE ptrdiff_t candidates_bytes(T, ptrdiff_t n_rows, ptrdiff_t k) {
    return n_rows * ((capacity_for(T{}, k) + 1) * ptrdiff_t(sizeof(T) + 8)) + 64;
}
template <class T> candidates<T> lay_out(T, void *memory, ptrdiff_t n_rows, ptrdiff_t k) {
    candidates<T> c;
    c.k = k;
    c.capacity = capacity_for(T{}, k);
    c.indices = static_cast<int64_t *>(memory);
    c.count = reinterpret_cast<ptrdiff_t *>(c.indices + n_rows * c.capacity);
    c.keys = reinterpret_cast<key_of<T> *>(c.count + n_rows);
    c.bound = reinterpret_cast<T *>(c.keys + n_rows * c.capacity);
    return c;
}

template <class K> K largest_key(const K *keys, ptrdiff_t n) {
    K largest = keys[0];
    for (ptrdiff_t i = 0; i < n; i++) largest = keys[i] > largest ? keys[i] : largest;
    return largest;
}
template <class K> K smallest_key(const K *keys, ptrdiff_t n) {
    K smallest = keys[0];
    for (ptrdiff_t i = 0; i < n; i++) smallest = keys[i] < smallest ? keys[i] : smallest;
    return smallest;
}
template <class K> ptrdiff_t count_up_to(const K *keys, ptrdiff_t n, K limit) {
    K count = 0;
    for (ptrdiff_t i = 0; i < n; i++) count += keys[i] <= limit;
    return count;
}

template <class K> ptrdiff_t count_below(const K *keys, ptrdiff_t n, K limit) {
    K count = 0;
    for (ptrdiff_t i = 0; i < n; i++) count += keys[i] < limit;
    return count;
}

// Cuts n candidates to the k smallest by (key, place), in place and in order; the largest kept key.
template <class K>
K keep_smallest(K *keys, int64_t *indices, ptrdiff_t n, ptrdiff_t k) {
    typedef std::make_unsigned_t<K> U;
    if (n <= k) return largest_key(keys, n);
    // count(<= high) >= k > count(< low)
    K low = smallest_key(keys, n), high = largest_key(keys, n);
    while (low < high) {
        const K middle = K(U(low) + ((U(high) - U(low)) >> 1));
        const ptrdiff_t count = count_up_to(keys, n, middle);
        if (count == k) {
            low = high = middle;
            break;
        }
        if (count > k)
            high = middle;
        else
            low = middle + 1;
    }
    ptrdiff_t to = 0, i = 0;
    if (count_up_to(keys, n, high) > k) {
        // Not all that equal the k-th: the first of them, and what is below.
        for (ptrdiff_t n_equal = k - count_below(keys, n, high); n_equal > 0; i++) {
            const K key = keys[i];
            keys[to] = key;
            indices[to] = indices[i];
            to += key <= high;
            n_equal -= key == high;
        }
        high -= to < k;  // keys below `high` remain only where there are smaller ones
    }
    for (; to < k; i++) {
        const K key = keys[i];
        keys[to] = key;
        indices[to] = indices[i];
        to += key <= high;
    }
    return largest_key(keys, k);
}

template <class T> void cut_row(const candidates<T> &c, ptrdiff_t row) {
    if (c.count[row] < c.k) return;
    c.bound[row] = value_of<T>(keep_smallest(c.keys + row * c.capacity,
                                             c.indices + row * c.capacity, c.count[row], c.k));
    c.count[row] = c.k;
}

// The values at the set bits, with indices first + bit, all larger than those that came before.
template <class T>
__attribute__((noinline)) void take(const candidates<T> &c, ptrdiff_t row, const T *values,
                                    uint64_t bits, int64_t first) {
    if (c.k == 1) {
        key_of<T> best = c.count[row] ? c.keys[row] : nan_key<T>;
        if (!c.count[row]) {
            c.indices[row] = first + __builtin_ctzll(bits);
            c.count[row] = 1;
        }
        for (; bits; bits &= bits - 1) {
            const int i = __builtin_ctzll(bits);
            const key_of<T> key = order_key(values[i]);
            if (key < best) {
                best = key;
                c.indices[row] = first + i;
            }
        }
        c.keys[row] = best;
        c.bound[row] = value_of<T>(best);
        return;
    }
    key_of<T> *keys = c.keys + row * c.capacity;
    int64_t *indices = c.indices + row * c.capacity;
    ptrdiff_t n = c.count[row];
    for (; bits; bits &= bits - 1, n++) {
        const int i = __builtin_ctzll(bits);
        keys[n] = order_key(values[i]);
        indices[n] = first + i;
    }
    c.count[row] = n;
    if (n > many_for(c.k)) cut_row(c, row);
}

// n <= k pairs of a row, in index order, all behind those that came before. The keys lie where the
// caller keeps values later.
template <class T>
void add_pairs(const candidates<T> &c, ptrdiff_t row, const T *keys, const int64_t *indices,
               ptrdiff_t n) {
    if (c.k == 1) {
        key_of<T> key;
        memcpy(&key, keys, sizeof(T));
        if (n && (!c.count[row] || key < c.keys[row])) {
            c.keys[row] = key;
            c.indices[row] = indices[0];
            c.count[row] = 1;
            c.bound[row] = value_of<T>(key);
        }
        return;
    }
    ptrdiff_t &count = c.count[row];
    memcpy(c.keys + row * c.capacity + count, keys, size_t(n) * sizeof(T));
    memcpy(c.indices + row * c.capacity + count, indices, size_t(n) * sizeof(int64_t));
    count += n;
    cut_row(c, row);
}

// Empties row r, or fills it with the n <= k pairs that are known of it.
template <class T>
void restore_row(const candidates<T> &c, ptrdiff_t row, const T *keys, const int64_t *indices,
                 ptrdiff_t n) {
    c.count[row] = 0;
    c.bound[row] = T(__builtin_nan(""));
    if (n) add_pairs(c, row, keys, indices, n);
}

// The pairs of a row that remain, at most k, to where the caller keeps them.
template <class T>
ptrdiff_t save_row(const candidates<T> &c, ptrdiff_t row, T *keys, int64_t *indices) {
    cut_row(c, row);
    memcpy(keys, c.keys + row * c.capacity, size_t(c.count[row]) * sizeof(T));
    memcpy(indices, c.indices + row * c.capacity, size_t(c.count[row]) * sizeof(int64_t));
    return c.count[row];
}

// A row of k pairs in place: keys to values; sorted by (key, index) if asked to. Few are ranked by
// counting, k^2 comparisons without a branch: 100 take 0.7 us, std::sort 3 us. Scratch: 24 k bytes.
template <class T>
void order_row(T *values, int64_t *indices, ptrdiff_t k, bool sorted, void *scratch) {
    typedef key_of<T> K;
    struct pair {
        K key;
        int64_t index;
    };
    pair *pairs = static_cast<pair *>(scratch);
    K *keys = reinterpret_cast<K *>(pairs + k);
    memcpy(keys, values, size_t(k) * sizeof(T));
    if (!sorted) {
        for (ptrdiff_t i = 0; i < k; i++) values[i] = value_of<T>(keys[i]);
        return;
    }
    for (ptrdiff_t i = 0; i < k; i++) pairs[i] = {keys[i], indices[i]};
    if (k <= 256) {
        for (ptrdiff_t i = 0; i < k; i++) {
            const ptrdiff_t rank = count_up_to(keys, i, keys[i]) +
                                   count_below(keys + i + 1, k - i - 1, keys[i]);
            values[rank] = value_of<T>(pairs[i].key);
            indices[rank] = pairs[i].index;
        }
        return;
    }
    std::sort(pairs, pairs + k, [](const pair &a, const pair &b) {
        return a.key < b.key || (a.key == b.key && a.index < b.index);
    });
    for (ptrdiff_t i = 0; i < k; i++) {
        values[i] = value_of<T>(pairs[i].key);
        indices[i] = pairs[i].index;
    }
}

}  // namespace fm

#endif
