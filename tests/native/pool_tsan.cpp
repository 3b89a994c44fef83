// The thread pool alone, for ThreadSanitizer: concurrent callers, nested calls, ordered
// reductions, changing thread counts, interruptions, and workers that are ended and started
// again in the midst of it, as a fork does. Prints "ok" and returns 0 when every item was done
// exactly once; a data race makes the sanitizer fail the program.
#include "pool_reduce.h"

#include <cstdio>
#include <vector>

namespace {

constexpr int kCallers = 8, kRounds = 400;
std::atomic<int> n_errors{0};

void expect(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "wrong: %s\n", what);
    n_errors++;
}

// Every item is written by whoever claimed it, without atomics: a chunk given to two threads,
// or a caller that returns before a chunk is done, is a data race.
struct Marks {
    std::vector<int> times_done;
    bool nested;
    int delay; // turns of a loop per item: long enough that workers take part
};

void count_inner(fm::index_t begin, fm::index_t end, void* context) {
    *static_cast<fm::index_t*>(context) += end - begin;
}

void mark(fm::index_t begin, fm::index_t end, void* context) {
    Marks& marks = *static_cast<Marks*>(context);
    for (fm::index_t i = begin; i < end; ++i) {
        for (volatile int turn = 0; turn < marks.delay; turn = turn + 1) {}
        marks.times_done[size_t(i)] += 1;
    }
    if (marks.nested) {
        fm::index_t n_inner = 0;
        fm::parallel_for(100, 1, 1e9, count_inner, &n_inner);
        expect(n_inner == 100, "a nested call");
    }
    char* scratch = static_cast<char*>(fm::thread_scratch(int(begin % 4), 100 + begin));
    expect(scratch != nullptr, "scratch memory");
    scratch[0] = scratch[99] = 1;
}

void sum(fm::index_t begin, fm::index_t end, void* partial, void* context) {
    const double* values = static_cast<const double*>(context);
    double total = 0;
    for (fm::index_t i = begin; i < end; ++i) total += values[i];
    *static_cast<double*>(partial) = total;
}

void add(void* total, const void* partial, void*) {
    *static_cast<double*>(total) += *static_cast<const double*>(partial);
}

void sum_nested(fm::index_t begin, fm::index_t end, void* partial, void* context) {
    double total = 0;
    fm::ordered_reduce(end - begin, 16, 8, 1e7, sum, add, &total,
                       static_cast<double*>(context) + begin);
    *static_cast<double*>(partial) = total;
}

void call_often(int caller) {
    std::vector<double> values(5000);
    for (size_t i = 0; i < values.size(); ++i) values[i] = 1.0 / double(i + 1);
    double expected[2] = {};
    for (int i = 0; i < 2; ++i) {
        fm::this_thread.limit = 1;
        fm::ordered_reduce(5000, 64, 8, 1e7, i ? sum_nested : sum, add, &expected[i],
                           values.data());
    }
    for (int round = 0; round < kRounds; ++round) {
        fm::this_thread.limit = 1 + (round + caller) % 5;
        const fm::index_t n_items = 1 + (round * 37) % 1000;
        Marks marks{std::vector<int>(size_t(n_items), 0), round % 3 == 0, round % 5 ? 0 : 500};
        const double work_ns = round % 2 ? 1e6 : 30e3; // long, and short as in a stream
        expect(fm::parallel_for(n_items, 1 + round % 7, work_ns, mark, &marks) == fm::kOk,
               "status");
        for (int n : marks.times_done) expect(n == 1, "an item not done exactly once");

        double total = 0;
        fm::ordered_reduce(5000, 64, round % 4 ? 8 : 3 << 20, 1e7, round % 2 ? sum_nested : sum,
                           add, &total, values.data());
        expect(total == expected[round % 2], "a sum that depends on the number of threads");
    }
}

// Workers are ended and started again as around a fork.
void restart(std::atomic<bool>& done) {
    while (!done) {
        fm::Pool::current().stop();
        fm::Pool::current().allow();
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
}

std::atomic<int> n_slow{0};
void slow(fm::index_t begin, fm::index_t end, void*) {
    for (fm::index_t i = begin; i < end; ++i) {
        std::this_thread::sleep_for(std::chrono::microseconds(500));
        n_slow++;
    }
}

} // namespace

int main() {
    std::atomic<bool> done{false};
    std::thread restarter(restart, std::ref(done));
    std::vector<std::thread> callers;
    for (int i = 0; i < kCallers; ++i) callers.emplace_back(call_often, i);
    call_often(kCallers);
    for (std::thread& caller : callers) caller.join();
    done = true;
    restarter.join();

    // An interruption: chunks already claimed end, the others never begin, the next call works.
    fm::config.poll = [] { return -1; };
    for (int threads : {1, 4}) {
        fm::this_thread.limit = threads;
        n_slow = 0;
        expect(fm::parallel_for(100000, 1, 50e9, slow, nullptr) == fm::kInterrupted, "interrupt");
        const int n_before = n_slow;
        expect(n_before > 0 && n_before < 100000, "interrupted in the middle");
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        expect(n_slow == n_before, "nothing runs after the call");
    }
    fm::config.poll = nullptr;
    fm::this_thread.limit = 4;
    Marks marks{std::vector<int>(1000, 0), false, 0};
    expect(fm::parallel_for(1000, 1, 1e6, mark, &marks) == fm::kOk, "the call after");
    for (int n : marks.times_done) expect(n == 1, "an item of the call after");

    expect(fm::Pool::current().slots_taken() == 0, "a job slot left taken");
    fm::Pool::current().stop();
    if (n_errors) return 1;
    std::puts("ok");
    return 0;
}
