// A job that threads claim chunks of, and how a call is cut into chunks.
//
// One atomic word holds (generation, workers joined, chunks claimed), and every claim is a
// compare-and-swap on it. A worker that read a job and then slept through its end cannot claim
// from the next job in the same place: the generation has moved on. The first claim of a worker
// is also its joining, so there is no state "inside the job but without a chunk" for which the
// caller would have to wait.
//
// A claim entitles to a chunk, and which one depends on the thread: each has a share of the
// chunks, takes these first, and then those of others. So a thread finds in its caches what it
// worked on in the call before.
#pragma once

#include "pool_system.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace fm {

using index_t = std::ptrdiff_t;
using range_body = void (*)(index_t begin, index_t end, void* context);

constexpr uint32_t kMaxShares = 16; // more threads have some in common

// The word: generation (28 bits), workers joined (8), chunks claimed (28).
constexpr uint64_t kOneJoin = uint64_t(1) << 28, kOneGeneration = uint64_t(1) << 36;
constexpr uint64_t kClosed = kOneJoin - 1; // as the chunks claimed: nothing left
constexpr index_t kMaxChunks = index_t(kClosed) - 1;
inline uint32_t n_claimed(uint64_t word) { return uint32_t(word & kClosed); }
inline uint32_t n_joined(uint64_t word) { return uint32_t(word / kOneJoin) & 255; }
inline uint64_t generation(uint64_t word) { return word / kOneGeneration; }

// One call, cut into chunks.
struct Work {
    range_body body;
    void* context;
    index_t n_items, chunk_items;
    uint32_t n_chunks, max_helpers;

    uint32_t n_shares() const { return std::min(max_helpers + 1, kMaxShares); }

    void run(uint32_t chunk) const {
        const index_t begin = index_t(chunk) * chunk_items;
        body(begin, begin + std::min(chunk_items, n_items - begin), context);
    }
};

// Chunks of about chunk_ns, of whole multiples of `grain` items.
inline Work cut(index_t n_items, index_t grain, double work_ns, double chunk_ns, range_body body,
                void* context) {
    grain = std::clamp<index_t>(grain, 1, n_items);
    const index_t n_grains = n_items / grain + (n_items % grain != 0);
    index_t per_chunk = n_grains;
    if (chunk_ns < work_ns) per_chunk = index_t(double(n_grains) * (chunk_ns / work_ns));
    per_chunk = std::max({per_chunk, index_t(1), n_grains / kMaxChunks + 1});
    const index_t n_chunks = n_grains / per_chunk + (n_grains % per_chunk != 0);
    // A single chunk is all there is; grain * per_chunk could overflow there.
    const index_t chunk_items = n_chunks == 1 ? n_items : per_chunk * grain;
    return {body, context, n_items, chunk_items, uint32_t(n_chunks), 0};
}

struct alignas(64) Job {
    std::atomic<uint64_t> word{kClosed};
    // Stable while the word shows an open job. Atomic, because a late reader may look while the
    // next job is written; its claim then fails, and what it read is not used.
    alignas(64) std::atomic<range_body> body{nullptr};
    std::atomic<void*> context{nullptr};
    std::atomic<index_t> n_items{0}, chunk_items{0};
    std::atomic<uint32_t> n_chunks{0}, max_helpers{0};
    Signal done; // chunks that workers have finished; what the caller waits for
    std::atomic<uint32_t> caller_sleeps{0};
    struct alignas(64) Share {
        std::atomic<uint32_t> n_taken{0};
    } shares[kMaxShares];

    // By the owner of the slot: lets workers in, and returns the generation.
    uint64_t open(const Work& work) {
        constexpr auto relaxed = std::memory_order_relaxed;
        body.store(work.body, relaxed);
        context.store(work.context, relaxed);
        n_items.store(work.n_items, relaxed);
        chunk_items.store(work.chunk_items, relaxed);
        n_chunks.store(work.n_chunks, relaxed);
        max_helpers.store(work.max_helpers, relaxed);
        done.value.store(0, relaxed);
        for (uint32_t i = 0; i < work.n_shares(); ++i) shares[i].n_taken.store(0, relaxed);
        const uint64_t first = (generation(word.load(relaxed)) + 1) * kOneGeneration; // may wrap
        word.store(first, std::memory_order_release);
        return generation(first);
    }

    // By the owner: ends all claiming and returns how many chunks were claimed.
    uint32_t close(uint32_t of_chunks) {
        const uint64_t seen = word.fetch_or(kClosed, std::memory_order_acq_rel);
        return std::min(n_claimed(seen), of_chunks);
    }

    bool joinable() const {
        const uint64_t seen = word.load(std::memory_order_acquire);
        return n_claimed(seen) < n_chunks.load(std::memory_order_relaxed) &&
               n_joined(seen) < max_helpers.load(std::memory_order_relaxed);
    }

    // The first claim of a worker: what to do, and the word that it claimed from.
    bool join(Work& work, uint64_t& seen) {
        constexpr auto relaxed = std::memory_order_relaxed;
        seen = word.load(std::memory_order_acquire);
        do {
            // Closed is told by the word alone: the numbers may be the next job's already.
            if (n_claimed(seen) == kClosed) return false;
            work = {body.load(relaxed),        context.load(relaxed),
                    n_items.load(relaxed),     chunk_items.load(relaxed),
                    n_chunks.load(relaxed),    max_helpers.load(relaxed)};
            if (n_claimed(seen) >= work.n_chunks || n_joined(seen) >= work.max_helpers)
                return false;
        } while (!word.compare_exchange_weak(seen, seen + kOneJoin + 1, std::memory_order_acq_rel,
                                             std::memory_order_acquire));
        return true;
    }

    // One more chunk for a thread that is in; false when there is none.
    bool claim(uint64_t of_generation, uint32_t of_chunks) {
        uint64_t seen = word.load(std::memory_order_relaxed);
        do {
            if (generation(seen) != of_generation || n_claimed(seen) >= of_chunks) return false;
        } while (!word.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel,
                                             std::memory_order_relaxed));
        return true;
    }

    // The chunk of a claim. There is one: as many are left as there are claims without a chunk.
    uint32_t take(const Work& work, int thread) {
        for (uint32_t share = uint32_t(thread) % work.n_shares();;
             share = (share + 1) % work.n_shares()) {
            // A share is every n-th chunk: those of a triangle are equally large, and each ends
            // with small chunks.
            const uint64_t n_shares = work.n_shares();
            std::atomic<uint32_t>& n_taken = shares[share].n_taken;
            uint64_t chunk = share + n_shares * n_taken.load(std::memory_order_relaxed);
            if (chunk >= work.n_chunks) continue;
            chunk = share + n_shares * n_taken.fetch_add(1, std::memory_order_relaxed);
            if (chunk < work.n_chunks) return uint32_t(chunk);
        }
    }
};

} // namespace fm
