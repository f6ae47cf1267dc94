#include "runtime/backends/cpu/thread_pool.h"

#include <sched.h>

#include <exception>

namespace dcc::cpu {
namespace {

// How long a thread that waits stays on its core: instructions of a step follow each other within
// microseconds, but when ranks outnumber cores whoever we wait for may need the very core we spin
// on.
constexpr int kSpins = 2000;  // pauses, some 50 us
constexpr int kYields = 100;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns once `word` is no longer `old`.
void awaitChange(const std::atomic<uint32_t>& word, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (word.load(std::memory_order_acquire) != old) return;
    pause();
  }
  for (int i = 0; i < kYields; ++i) {
    if (word.load(std::memory_order_acquire) != old) return;
    sched_yield();
  }
  word.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(uint32_t threads) {
  workers_.reserve(threads - 1);
  try {
    for (uint32_t i = 1; i < threads; ++i) workers_.emplace_back([this, i] { workerLoop(i); });
  } catch (const std::exception&) {
    // No more threads or memory to be had: those that run do it all.
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::dispatch(Call call, void* body, uint32_t tasks) {
  // The previous job has ended: nobody can claim from it, so its fields may change.
  call_.store(call, std::memory_order_relaxed);
  body_.store(body, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  const uint32_t job = job_.load(std::memory_order_relaxed) + 1;
  ticket_.store(uint64_t{job} << 32 | uint64_t{tasks} << 16, std::memory_order_release);
  job_.store(job, std::memory_order_release);
  job_.notify_all();

  work(0);
  for (;;) {
    const uint32_t done = done_.load(std::memory_order_acquire);
    if (done == tasks) return;
    awaitChange(done_, done);
  }
}

void ThreadPool::work(uint32_t thread) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  for (;;) {
    const uint32_t next = ticket & 0xffff;
    const uint32_t tasks = ticket >> 16 & 0xffff;
    if (next >= tasks) return;
    const Call call = call_.load(std::memory_order_relaxed);
    void* body = body_.load(std::memory_order_relaxed);
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
      continue;
    }
    ++ticket;
    call(body, next, thread);
    done_.fetch_add(1, std::memory_order_acq_rel);
    done_.notify_one();  // no system call unless the caller sleeps
  }
}

void ThreadPool::workerLoop(uint32_t thread) {
  uint32_t seen = 0;
  for (;;) {
    awaitChange(job_, seen);
    seen = job_.load(std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    work(thread);
  }
}

}  // namespace dcc::cpu
