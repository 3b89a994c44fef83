// What the thread pool asks of the operating system: waiting, CPU masks, signals, time.
//
// On Linux threads wait on futexes and are steered by affinity masks; elsewhere (or with
// FASTMATH_ML_PORTABLE_WAIT defined, for testing) they wait on condition variables and are left
// where the system puts them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <time.h>

#if defined(__unix__) || defined(__APPLE__)
#define FASTMATH_ML_POSIX 1
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#endif
#if defined(__linux__) && !defined(FASTMATH_ML_PORTABLE_WAIT)
#define FASTMATH_ML_LINUX 1
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <condition_variable>
#endif

namespace fm {

inline int64_t now_ns() {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

inline void pause_cpu() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

inline void prefer_huge_pages([[maybe_unused]] void* data, [[maybe_unused]] std::size_t n_bytes) {
#ifdef FASTMATH_ML_LINUX
    madvise(data, n_bytes, MADV_HUGEPAGE);
#endif
}

// Lets another thread that waits for this CPU have it: 0.2 us when there is none.
inline void offer_cpu() {
#ifdef FASTMATH_ML_POSIX
    sched_yield();
#endif
}

// A number that threads wait on.
struct alignas(64) Signal {
    std::atomic<uint32_t> value{0};
#ifdef FASTMATH_ML_LINUX
    // Returns when woken while value != seen, when the time is over, or without reason.
    void wait(uint32_t seen, int64_t at_most_ns = INT64_MAX) {
        timespec limit = {time_t(at_most_ns / 1'000'000'000), long(at_most_ns % 1'000'000'000)};
        timespec* timeout = at_most_ns == INT64_MAX ? nullptr : &limit;
        syscall(SYS_futex, &value, FUTEX_WAIT_PRIVATE, seen, timeout, nullptr, 0);
    }
    void wake() { syscall(SYS_futex, &value, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0); }
#else
    std::mutex mutex;
    std::condition_variable changed;
    void wait(uint32_t seen, int64_t at_most_ns = INT64_MAX) {
        std::unique_lock<std::mutex> lock(mutex);
        const auto differs = [&] { return value.load() != seen; };
        if (at_most_ns == INT64_MAX) changed.wait(lock, differs);
        else changed.wait_for(lock, std::chrono::nanoseconds(at_most_ns), differs);
    }
    void wake() {
        { std::lock_guard<std::mutex> lock(mutex); } // the waiter is before its test or asleep
        changed.notify_all();
    }
#endif
};

// ---- CPU masks: functions that do nothing where there are none ----

#ifdef FASTMATH_ML_LINUX
using CpuMask = cpu_set_t;
// The mask of the calling thread. Fails on machines of more than 1024 CPUs.
inline bool read_affinity(CpuMask& mask) { return sched_getaffinity(0, sizeof mask, &mask) == 0; }
inline bool write_affinity(int thread_id, const CpuMask& mask) {
    return sched_setaffinity(thread_id, sizeof mask, &mask) == 0;
}
inline int count_cpus(const CpuMask& mask) { return CPU_COUNT(&mask); }
inline bool same_cpus(const CpuMask& a, const CpuMask& b) { return CPU_EQUAL(&a, &b); }
inline CpuMask without_cpu(const CpuMask& mask, int cpu) {
    CpuMask rest = mask;
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_CLR(cpu, &rest);
    return CPU_COUNT(&rest) ? rest : mask;
}
inline CpuMask only_cpu(int cpu) {
    CpuMask mask;
    CPU_ZERO(&mask);
    CPU_SET(cpu, &mask);
    return mask;
}
inline int current_cpu() { return sched_getcpu(); }
// The time that a thread of ours has been running so far; it stands still while the thread
// waits for a CPU.
inline int64_t cpu_time_ns(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return int64_t(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}
inline clockid_t cpu_clock() {
    clockid_t clock{};
    pthread_getcpuclockid(pthread_self(), &clock);
    return clock;
}
inline int thread_id() { return int(syscall(SYS_gettid)); }
inline bool is_main_thread() { return getpid() == thread_id(); }
#else
struct CpuMask {};
inline bool read_affinity(CpuMask&) { return false; }
inline bool write_affinity(int, const CpuMask&) { return false; }
inline int count_cpus(const CpuMask&) { return 0; }
inline bool same_cpus(const CpuMask&, const CpuMask&) { return true; }
inline CpuMask without_cpu(const CpuMask& mask, int) { return mask; }
inline CpuMask only_cpu(int) { return {}; }
inline int current_cpu() { return -1; }
inline int64_t cpu_time_ns(clockid_t) { return now_ns(); }
inline clockid_t cpu_clock() { return {}; }
inline int thread_id() { return 0; }
inline bool is_main_thread() { return true; } // Python then looks for itself
#endif

// Threads started while this lives block all signals but those that a fault raises: a
// handler must find the thread that it interrupts in the caller's hands, never a worker.
struct SignalsBlocked {
#ifdef FASTMATH_ML_POSIX
    sigset_t before;
    SignalsBlocked() {
        sigset_t blocked;
        sigfillset(&blocked);
        for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT})
            sigdelset(&blocked, fault);
        pthread_sigmask(SIG_SETMASK, &blocked, &before);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
#endif
};

} // namespace fm
