// The ordered reduction: one partial result per segment, combined in index order.
//
// Segments are fixed by the shape alone and combined by the calling thread in order, so neither
// the number of threads nor their timing shows in the bits; the serial path takes the same
// segments, one after the other. Waves bound the memory: only the partials of one wave are alive,
// 8 MiB or one per thread, whichever is more.
#pragma once

#include "pool.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace fm {

using segment_body = void (*)(index_t begin, index_t end, void* partial, void* context);
using combine_body = void (*)(void* total, const void* partial, void* context);

constexpr index_t kPartialBytes = index_t(8) << 20;

// One wave of an ordered reduction, as a range of segments.
struct Wave {
    segment_body body;
    void* context;
    char* partials;
    index_t n_items, segment, stride, first_segment;

    static void run(index_t begin, index_t end, void* self) {
        const Wave& wave = *static_cast<const Wave*>(self);
        for (index_t i = begin; i < end; ++i) {
            const index_t first = (wave.first_segment + i) * wave.segment;
            wave.body(first, first + std::min(wave.segment, wave.n_items - first),
                      wave.partials + i * wave.stride, wave.context);
        }
    }
};

inline int ordered_reduce(index_t n_items, index_t segment, index_t partial_bytes,
                          double work_ns, segment_body body, combine_body combine, void* total,
                          void* context) {
    if (n_items <= 0) return kOk;
    segment = std::clamp<index_t>(segment, 1, n_items);
    const index_t n_segments = n_items / segment + (n_items % segment != 0);
    if (partial_bytes > PTRDIFF_MAX / kMaxThreads - 64) return kNoMemory;
    const index_t stride = (std::max<index_t>(partial_bytes, 1) + 63) & ~index_t(63);
    const bool nested_call = this_thread.depth > 0;
    const bool serial = nested_call || !(work_ns >= kAwakeNs);
    const int threads = serial ? 1 : thread_count(now_ns());
    index_t per_wave = threads == 1 ? 1 : std::max<index_t>(kPartialBytes / stride, threads);
    per_wave = std::min(per_wave, n_segments);
    // In a nested call this thread's block may hold the partials of the call around it.
    char* partials = static_cast<char*>(
        nested_call ? std::aligned_alloc(64, size_t(per_wave * stride))
                    : thread_scratch(kPartialSlot, per_wave * stride));
    if (!partials) return kNoMemory;
    int status = kOk;
    int64_t never = INT64_MAX;
    int64_t& next_poll = serial ? never : poll_clock(now_ns());
    Wave wave{body, context, partials, n_items, segment, stride, 0};
    for (index_t first = 0; first < n_segments && status == kOk; first += per_wave) {
        const index_t n = std::min(per_wave, n_segments - first);
        wave.first_segment = first;
        status = parallel_for(n, 1, work_ns * (double(n) / double(n_segments)), Wave::run, &wave);
        if (status != kOk) break;
        Nested nested;
        for (index_t i = 0; i < n; ++i) combine(total, partials + i * stride, context);
        if (interrupted(next_poll)) status = kInterrupted;
    }
    if (nested_call) std::free(partials);
    return status;
}

} // namespace fm
