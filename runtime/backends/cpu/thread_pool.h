// The threads of one rank. Work is cut into tasks that idle threads claim one by one, so a thread
// whose core another process took delays a step by at most the one task it holds.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace dcc::cpu {

class ThreadPool {
 public:
  // `threads` >= 1 counts the caller of run(); 1 makes run() a plain loop. Fewer, where the machine
  // gives no more.
  explicit ThreadPool(uint32_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  uint32_t threads() const { return static_cast<uint32_t>(workers_.size()) + 1; }

  // Calls body(task, thread) for every task in [0, tasks), in any order, on threads numbered from 0
  // (the caller), and returns when all are done. Takes no memory and no lock. Only one thread may
  // call it, and not from a task.
  template <class Body>
  void run(int64_t tasks, Body&& body) {
    if (workers_.empty() || tasks <= 1) {
      for (int64_t i = 0; i < tasks; ++i) body(i, 0u);
      return;
    }
    for (int64_t first = 0; first < tasks; first += kMaxTasks) {
      auto shifted = [&](int64_t task, uint32_t thread) { body(first + task, thread); };
      dispatch([](void* b, int64_t task,
                  uint32_t thread) { (*static_cast<decltype(shifted)*>(b))(task, thread); },
               &shifted, static_cast<uint32_t>(std::min(tasks - first, kMaxTasks)));
    }
  }

  // Calls body(begin, end) on parts of [0, n) of at least `grain` items (but the last).
  template <class Body>
  void forRanges(int64_t n, int64_t grain, Body&& body) {
    if (workers_.empty() || n <= grain) {
      if (n > 0) body(int64_t{0}, n);
      return;
    }
    // A few parts per thread even out what the threads get done.
    const int64_t parts = static_cast<int64_t>(threads()) * 4;
    const int64_t part = std::max(std::max<int64_t>(grain, 1), (n + parts - 1) / parts);
    run((n + part - 1) / part,
        [&](int64_t task, uint32_t) { body(task * part, std::min(n, (task + 1) * part)); });
  }

 private:
  using Call = void (*)(void* body, int64_t task, uint32_t thread);
  static constexpr int64_t kMaxTasks = 0xffff;

  void dispatch(Call call, void* body, uint32_t tasks);
  // Claims and runs tasks of the job in `ticket_` until none is left.
  void work(uint32_t thread);
  void workerLoop(uint32_t thread);

  std::vector<std::thread> workers_;

  // The current job. `ticket_` is job number << 32 | tasks << 16 | next task: a claim is one
  // compare-and-swap that fails when the job has ended, so a late thread can never run a task of
  // another job with what it read of this one.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  std::atomic<Call> call_{nullptr};
  std::atomic<void*> body_{nullptr};
  alignas(64) std::atomic<uint32_t> done_{0};  // tasks finished of the current job
  alignas(64) std::atomic<uint32_t> job_{0};   // number of the current job; idle workers watch it
  std::atomic<bool> stop_{false};
};

}  // namespace dcc::cpu
