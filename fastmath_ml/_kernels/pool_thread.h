// What a thread has of its own in the pool's eyes (depth of calls, limit, scratch memory), and
// the settings of the process. Signals are looked for here too, because the handler that they
// start may call the library again and must not find the scratch memory in use.
#pragma once

#include "pool_system.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace fm {

using index_t = std::ptrdiff_t;

constexpr int kMaxThreads = 256;
constexpr int kPartialSlot = 4, kSlots = 5; // scratch slots 0..3 are the kernels'
constexpr int64_t kPollNs = 50'000'000;     // between two looks for signals
constexpr index_t kHugePage = 2 << 20;
constexpr int64_t kRecountNs = 10'000'000;  // between two counts of the CPUs

struct Block {
    void* data;
    index_t n_bytes;
};

// Trivial on purpose: reading it needs no initialisation guard.
struct ThreadState {
    int depth;  // > 0 inside a call: calls made there run serially
    int limit;  // threads that num_threads(n) allows; 0 means the default
    int index;  // 0 for callers, 1.. for workers
    int n_cpus; // that this thread may use, as of counted_ns; 0: not counted
    int64_t counted_ns;
    int64_t last_small_ns; // start of the last call too small to wake a worker for
    int64_t next_poll;     // see poll_clock
    Block scratch[kSlots];
};
inline thread_local ThreadState this_thread{};

struct Config {
    std::atomic<int> fixed_threads{0};    // from the environment; 0: count the CPUs
    std::atomic<int> quota_threads{0};    // the control group's limit; 0: none
    std::atomic<bool> spin{true};         // false under a fractional quota
    std::atomic<int (*)()> poll{nullptr}; // looks for signals; negative: give up the call
};
inline Config config;

struct Nested { // marks the time inside a call
    Nested() { ++this_thread.depth; }
    ~Nested() { --this_thread.depth; }
};

// CPUs that the calling thread may use: its affinity mask, capped by the quota.
inline int usable_cpus(int64_t now) {
    ThreadState& me = this_thread;
    if (me.n_cpus == 0 || now - me.counted_ns > kRecountNs) {
        CpuMask mask;
        int n = read_affinity(mask) ? count_cpus(mask) : int(std::thread::hardware_concurrency());
        if (const int quota = config.quota_threads) n = std::min(n, quota);
        me.n_cpus = std::clamp(n, 1, kMaxThreads);
        me.counted_ns = now;
    }
    return me.n_cpus;
}

inline int thread_count(int64_t now) {
    if (this_thread.depth) return 1;
    if (this_thread.limit) return this_thread.limit;
    const int fixed = config.fixed_threads;
    return fixed ? fixed : usable_cpus(now);
}

// ---- scratch memory ----

inline std::atomic<int64_t> scratch_bytes{0}; // of all threads

inline void free_block(Block& block) {
    std::free(block.data);
    scratch_bytes -= block.n_bytes;
    block = Block{};
}

struct ScratchOwner { // its destructor runs at the end of the thread
    bool used = false;
    ~ScratchOwner() {
        for (Block& block : this_thread.scratch) free_block(block);
    }
};
inline thread_local ScratchOwner scratch_owner;

inline void* thread_scratch(int slot, index_t n_bytes) {
    Block& block = this_thread.scratch[slot];
    if (block.data && n_bytes <= block.n_bytes) return block.data;
    scratch_owner.used = true; // makes the thread register the destructor
    free_block(block);
    if (n_bytes < 0 || n_bytes > PTRDIFF_MAX - kHugePage) return nullptr;
    const index_t page = n_bytes >= kHugePage ? kHugePage : 4096;
    const index_t rounded = (std::max<index_t>(n_bytes, 1) + page - 1) & ~(page - 1);
    void* data = std::aligned_alloc(size_t(page), size_t(rounded));
    if (!data) return nullptr;
    // A packed operand of 16 MiB on pages of 4 KiB misses the TLB at every panel.
    if (page == kHugePage) prefer_huge_pages(data, size_t(rounded));
    scratch_bytes += rounded;
    block = Block{data, rounded};
    return data;
}

// When the calling thread looks for signals next. Calls that follow each other share the clock, so
// that a long row of short ones, made without a return to Python, is interrupted too.
inline int64_t& poll_clock(int64_t now) {
    int64_t& next = this_thread.next_poll;
    if (now - next > kPollNs || next - now > kPollNs) next = now + kPollNs;
    return next;
}

// Looks for signals when it is time to; true when the call is to be given up.
inline bool interrupted(int64_t& next_poll) {
    const int64_t now = now_ns();
    const auto poll = config.poll.load(std::memory_order_relaxed);
    if (now < next_poll || !poll) return false;
    if (!is_main_thread()) { // handlers run on the main thread only
        next_poll = INT64_MAX;
        return false;
    }
    Block (&mine)[kSlots] = this_thread.scratch;
    Block in_use[kSlots];
    std::copy(mine, mine + kSlots, in_use);
    std::fill(mine, mine + kSlots, Block{});
    const bool give_up = poll() < 0;
    for (Block& block : mine) free_block(block);
    std::copy(in_use, in_use + kSlots, mine);
    next_poll = now_ns() + kPollNs;
    return give_up;
}

} // namespace fm
