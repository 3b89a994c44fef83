// A small pool of native threads that runs a C function over a range of indices.
//
// Work is claimed, never assigned. A call publishes a job in one of a few slots; the caller and
// whichever workers are awake take chunks of it (pool_job.h), each at first those that it took
// the last time; the caller returns when every claimed chunk is done. A worker that the operating
// system has not scheduled holds no chunk, so nobody waits for it. Slots and workers live in the
// pool and the pool is never freed: a worker that comes late reads memory that is still there.
//
// After its work a worker spins for a while, then sleeps. Linux likes to put a woken worker on
// the waker's own CPU, where it waits for the next scheduler tick (4 ms); so the waker first
// takes its CPU out of the worker's mask. On a busy machine a worker may lose its CPU in the
// middle of a chunk, and the caller must wait for it. That is made rare (a worker offers its CPU
// after every chunk, so it is preempted between chunks) and short (see rescue).
//
// No Python here: signals are looked for through a function that the owner sets.
#pragma once

#include "pool_job.h"
#include "pool_system.h"
#include "pool_thread.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

namespace fm {

constexpr int kMaxJobs = 16;           // callers at once; one more runs serially
constexpr double kAwakeNs = 16e3;      // less work than this runs serially, always
constexpr double kAsleepNs = 100e3;    // less than this runs serially while all workers sleep
constexpr double kChunkNs = 100e3;     // a chunk of a long job
constexpr double kMinChunkNs = 4e3;    // of a short one
constexpr double kSerialChunkNs = 5e6; // of a serial one: between them signals are looked for
constexpr double kStreamNs = 75e3;         // small calls no further apart keep a worker awake
constexpr int64_t kSpinNs = 1'000'000;     // a worker looks for the next job before it sleeps
constexpr int64_t kWaitSpinNs = 2'000'000; // a caller waits for the last chunks before it sleeps
constexpr int64_t kNapNs = 500'000;        // and then looks this often whether they are running,
constexpr int64_t kLookNs = 30'000;        // while it spins this often
constexpr int64_t kOfferNs = 10'000;       // a spinning worker offers its CPU this often

enum Status { kOk = 0, kInterrupted = -1, kNoMemory = -2 };

// kSteered: another thread is at the worker's mask, and the worker waits before it moves on.
enum WorkerState : uint32_t { kAwake, kSleeping, kSteered };

struct alignas(64) Worker {
    Signal state;
    std::atomic<int> job{-1}; // slot of the job of which it holds a chunk
    std::atomic<bool> mask_known{false};
    CpuMask mask; // what a waker gave it last
    std::atomic<bool> rescued{false}; // confined to a caller's CPU: to leave it soon
    int tid = 0;
    clockid_t clock{}; // counts the time that it has been running
    std::thread thread;

    void change_state(uint32_t from, uint32_t to) {
        for (uint32_t seen = from; !state.value.compare_exchange_weak(seen, to); seen = from)
            pause_cpu();
    }
};

class Pool {
  public:
    static Pool& current() { return *place().load(std::memory_order_acquire); }

    // For the child of a fork: what the parent's pool was doing is none of its business, and
    // the workers do not exist. A call that is under way in the forking thread (a signal
    // handler forked) ends on the old pool, by itself.
    static void start_afresh() { place().store(new Pool, std::memory_order_release); }

    int run(Work work, int threads, int n_cpus, int64_t now) {
        Job* job = take_slot();
        if (!job) return run_serially(work, now);
        const uint32_t bit = 1u << (job - jobs_);
        work.max_helpers = uint32_t(std::min<int64_t>(threads, work.n_chunks) - 1);
        const int spinners = config.spin && threads <= n_cpus ? n_cpus - 1 : 0;
        spinners_allowed_.store(spinners, std::memory_order_relaxed);
        const uint64_t gen = job->open(work);
        open_.fetch_or(bit);
        call_workers(int(work.max_helpers));

        uint32_t own_chunks = 0;
        bool give_up = false;
        int64_t& next_poll = poll_clock(now);
        while (!give_up && job->claim(gen, work.n_chunks)) {
            work.run(job->take(work, 0));
            ++own_chunks;
            give_up = interrupted(next_poll);
        }
        const uint32_t claimed = job->close(work.n_chunks);
        open_.fetch_and(~bit, std::memory_order_relaxed);
        await(*job, claimed - own_chunks);
        taken_.fetch_and(~bit, std::memory_order_release);
        return give_up ? kInterrupted : kOk;
    }

    static int run_serially(const Work& work, int64_t now) {
        int64_t& next_poll = poll_clock(now);
        for (uint32_t chunk = 0; chunk < work.n_chunks; ++chunk) {
            work.run(chunk);
            if (interrupted(next_poll)) return kInterrupted;
        }
        return kOk;
    }

    // Whether to share work of this size now. While all workers sleep, waking one costs more
    // than a small call; but a small call that follows another one closely is part of a stream,
    // and the worker that it wakes will be awake for the next.
    bool worth_sharing(double work_ns, int64_t now) {
        if (work_ns >= kAsleepNs || n_available() > 0) return true;
        if (!config.spin) return false;
        int64_t& last = this_thread.last_small_ns;
        const bool stream = double(now - last) < work_ns + kStreamNs;
        last = now;
        return stream;
    }

    // Ends and joins all workers, and starts none until allow(). Calls under way go on alone.
    void stop() {
        lifecycle_.lock();
        stop_.store(true);
        const int n = n_workers_.load();
        for (int i = 0; i < n; ++i) {
            uint32_t expected = kSleeping;
            workers_[i].state.value.compare_exchange_strong(expected, kAwake);
            workers_[i].state.wake();
        }
        for (int i = 0; i < n; ++i) {
            workers_[i].thread.join();
            workers_[i].mask_known.store(false);
            workers_[i].state.value.store(kAwake);
        }
        n_workers_.store(0);
        n_awake_.store(0);
    }
    void allow() {
        stop_.store(false);
        spawn_limit_ = kMaxThreads - 1;
        lifecycle_.unlock();
    }

    int n_workers() const { return n_workers_; }
    int n_awake() const { return n_awake_; }
    uint32_t slots_taken() const { return taken_; }

  private:
    static std::atomic<Pool*>& place() {
        static std::atomic<Pool*> pool{new Pool};
        return pool;
    }

    Job* take_slot() {
        uint32_t taken = taken_.load(std::memory_order_relaxed);
        for (int i = 0; i < kMaxJobs; ++i) {
            const uint32_t bit = 1u << i;
            if (taken & bit) continue;
            taken = taken_.fetch_or(bit, std::memory_order_acquire);
            if (!(taken & bit)) return &jobs_[i];
        }
        return nullptr;
    }

    // Workers that will look for a job by themselves.
    int n_available() const { return n_awake_.load() - n_busy_.load(); }

    // Waits for the chunks that workers hold: spinning at first, for they are short.
    void await(Job& job, uint32_t n_chunks) {
        if (job.done.value.load(std::memory_order_acquire) == n_chunks) return;
        const bool spinning = spinners_allowed_.load(std::memory_order_relaxed) > 0;
        const int64_t start = now_ns();
        int64_t now = start, next_look = start + kLookNs / 4, ran_ns[kMaxThreads - 1];
        std::fill_n(ran_ns, kMaxThreads - 1, -1);
        bool leave_cpu = !spinning;
        while (job.done.value.load(std::memory_order_acquire) != n_chunks) {
            if (now >= next_look) {
                leave_cpu |= rescue(int(&job - jobs_), ran_ns);
                next_look = now + kLookNs;
            }
            if (leave_cpu || now - start > kWaitSpinNs) {
                job.caller_sleeps.store(1);
                const uint32_t seen = job.done.value.load();
                if (seen != n_chunks) job.done.wait(seen, kNapNs);
                job.caller_sleeps.store(0, std::memory_order_relaxed);
                leave_cpu = !spinning;
            }
            for (int i = 0; i < 8; ++i) pause_cpu();
            now = now_ns();
        }
    }

    // A worker that lost its CPU in the middle of a chunk would wait for a time slice (4 ms) to
    // end. If one did not run since the last look (ran_ns), it is brought to the caller's CPU
    // and the caller is told to leave it that.
    bool rescue(int job, int64_t (&ran_ns)[kMaxThreads - 1]) {
        CpuMask allowed;
        if (!read_affinity(allowed)) return false; // we could not let it go again
        const int n = n_workers_.load(std::memory_order_acquire);
        for (int i = 0; i < n; ++i) {
            Worker& worker = workers_[i];
            const int64_t before = ran_ns[i];
            ran_ns[i] = -1;
            uint32_t expected = kAwake;
            if (worker.job.load(std::memory_order_acquire) != job ||
                !worker.state.value.compare_exchange_strong(expected, kSteered))
                continue;
            ran_ns[i] = cpu_time_ns(worker.clock);
            const bool stuck = ran_ns[i] == before;
            if (stuck) {
                worker.mask_known.store(false);
                worker.rescued.store(write_affinity(worker.tid, only_cpu(current_cpu())));
            }
            worker.state.value.store(kAwake);
            if (stuck) return true;
        }
        return false;
    }

    // The caller wakes two workers at most, and each one woken wakes two more (see help): with
    // many CPUs the caller would else spend longer on waking, at 5 us each, than on the work.
    void call_workers(int wanted) {
        if (n_workers_.load(std::memory_order_relaxed) < wanted) start_workers(wanted);
        wake_workers(wanted - n_available(), nullptr);
    }

    void wake_workers(int wanted, const Worker* waker) {
        const int n = n_workers_.load(std::memory_order_acquire);
        // seq_cst: either we see the sleeper here or it sees the open job.
        if (wanted <= 0 || n_awake_.load() >= n) return;
        // Within the caller's mask as it is now; what workers pass on is what they were given.
        CpuMask allowed;
        const bool steering = waker ? waker->mask_known.load(std::memory_order_relaxed)
                                    : read_affinity(allowed);
        if (steering) allowed = without_cpu(waker ? waker->mask : allowed, current_cpu());
        for (int i = 0, woken = 0; i < n && woken < std::min(wanted, 2); ++i) {
            Worker& worker = workers_[i];
            uint32_t expected = kSleeping;
            if (worker.state.value.load(std::memory_order_relaxed) != kSleeping ||
                !worker.state.value.compare_exchange_strong(expected, kSteered))
                continue;
            n_awake_.fetch_add(1);
            if (steering && !(worker.mask_known && same_cpus(worker.mask, allowed))) {
                worker.mask = allowed;
                worker.mask_known.store(write_affinity(worker.tid, allowed));
            }
            worker.state.value.store(kAwake);
            worker.state.wake();
            ++woken;
        }
    }

    void start_workers(int wanted) {
        std::unique_lock<std::mutex> lock(lifecycle_, std::try_to_lock);
        if (!lock || stop_) return; // a fork or another caller is at it: go on without
        SignalsBlocked blocked;
        for (int n = n_workers_.load(); n < std::min(wanted, spawn_limit_); ++n) {
            n_awake_.fetch_add(1);
            try {
                workers_[n].thread = std::thread([this, n] { live(workers_[n], n + 1); });
            } catch (const std::system_error&) {
                n_awake_.fetch_sub(1);
                spawn_limit_ = n; // the system refuses more
                return;
            }
            n_workers_.store(n + 1);
        }
    }

    // ---- what a worker does ----

    void live(Worker& worker, int index) {
        this_thread.index = index;
        this_thread.depth = 1; // calls made by bodies are nested
        worker.tid = thread_id();
        worker.clock = cpu_clock();
        while (!stop_)
            if (!help_any(worker) && (worker.rescued.exchange(false) || !spin())) sleep(worker);
        worker.change_state(kAwake, kSteered); // nobody touches it from here on
    }

    bool help_any(Worker& worker) {
        bool helped = false;
        for (uint32_t open = open_.load(std::memory_order_acquire); open; open &= open - 1)
            helped |= help(worker, __builtin_ctz(open));
        return helped;
    }

    bool help(Worker& worker, int slot) {
        Job& job = jobs_[slot];
        Work work;
        uint64_t seen;
        if (!job.join(work, seen)) return false;
        wake_workers(int(work.max_helpers) - int(n_joined(seen)) - n_available(), &worker);
        do {
            n_busy_.fetch_add(1);
            worker.job.store(slot, std::memory_order_release); // with its tid and clock
            work.run(job.take(work, this_thread.index));
            worker.job.store(-1, std::memory_order_relaxed);
            n_busy_.fetch_sub(1);
            job.done.value.fetch_add(1); // from here on the caller may be gone
            if (job.caller_sleeps.load()) job.done.wake();
            if (stop_) break;
            offer_cpu();
        } while (job.claim(generation(seen), work.n_chunks));
        return true;
    }

    bool any_joinable() const {
        for (uint32_t open = open_.load(); open; open &= open - 1)
            if (jobs_[__builtin_ctz(open)].joinable()) return true;
        return false;
    }

    // True when there may be work; false when it is time to sleep.
    bool spin() {
        bool found = any_joinable() || stop_;
        if (n_spinning_.fetch_add(1) < spinners_allowed_.load(std::memory_order_relaxed)) {
            const int64_t start = now_ns();
            for (int64_t now = start, offered = start; !found && now < start + kSpinNs;) {
                for (int i = 0; i < 8 && !found; ++i, pause_cpu()) found = any_joinable() || stop_;
                now = now_ns();
                if (now - offered < kOfferNs) continue;
                offer_cpu();
                offered = now_ns();
                if (offered - now > kOfferNs) break; // somebody took it: the machine is busy
            }
        }
        n_spinning_.fetch_sub(1);
        return found;
    }

    void sleep(Worker& worker) {
        std::atomic<uint32_t>& state = worker.state.value;
        worker.change_state(kAwake, kSleeping);
        n_awake_.fetch_sub(1);
        uint32_t expected = kSleeping;
        // seq_cst: either the publisher of a job sees us asleep or we see its job here.
        if ((any_joinable() || stop_) && state.compare_exchange_strong(expected, kAwake)) {
            n_awake_.fetch_add(1);
            return;
        }
        for (uint32_t seen; (seen = state.load()) != kAwake;) worker.state.wait(seen);
    }

    Job jobs_[kMaxJobs];
    Worker workers_[kMaxThreads - 1];
    alignas(64) std::atomic<uint32_t> open_{0};  // slots with a job to look at
    alignas(64) std::atomic<uint32_t> taken_{0}; // slots in use by callers
    alignas(64) std::atomic<int> n_awake_{0}, n_busy_{0}; // not asleep; inside a chunk
    std::atomic<int> n_workers_{0}, n_spinning_{0}, spinners_allowed_{0};
    std::atomic<bool> stop_{false};
    std::mutex lifecycle_; // starting and ending workers
    int spawn_limit_ = kMaxThreads - 1;
};

inline int parallel_for(index_t n_items, index_t grain, double work_ns, range_body body,
                        void* context) {
    if (n_items <= 0) return kOk;
    if (this_thread.depth || !(work_ns >= kAwakeNs)) {
        Nested nested;
        body(0, n_items, context);
        return kOk;
    }
    const int64_t now = now_ns();
    const int threads = thread_count(now), n_cpus = usable_cpus(now);
    Nested nested;
    if (threads > 1 && Pool::current().worth_sharing(work_ns, now)) {
        const double chunk_ns = std::clamp(work_ns / (4.0 * threads), kMinChunkNs, kChunkNs);
        const Work work = cut(n_items, grain, work_ns, chunk_ns, body, context);
        if (work.n_chunks > 1) return Pool::current().run(work, threads, n_cpus, now);
    }
    return Pool::run_serially(cut(n_items, grain, work_ns, kSerialChunkNs, body, context), now);
}

} // namespace fm
