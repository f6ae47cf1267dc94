#include "runtime/backends/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

namespace dcc::cpu {
namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
  for (uint32_t threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (int64_t tasks : {0, 1, 2, 7, 100}) {
      std::vector<std::atomic<int>> runs(tasks);
      pool.run(tasks, [&](int64_t task, uint32_t thread) {
        EXPECT_LT(thread, threads);
        ++runs[task];
      });
      for (auto& n : runs) EXPECT_EQ(n.load(), 1);
    }
  }
}

TEST(ThreadPool, TakesMoreTasksThanOneTicketHolds) {
  ThreadPool pool(3);
  const int64_t tasks = 3 * 0xffff + 17;
  std::atomic<int64_t> sum{0};
  pool.run(tasks, [&](int64_t task, uint32_t) { sum += task; });
  EXPECT_EQ(sum.load(), tasks * (tasks - 1) / 2);
}

TEST(ThreadPool, RangesCoverAllOnce) {
  ThreadPool pool(3);
  for (int64_t n : {0, 1, 5, 1000}) {
    for (int64_t grain : {1, 7, 2000}) {
      std::vector<std::atomic<int>> runs(n);
      pool.forRanges(n, grain, [&](int64_t begin, int64_t end) {
        EXPECT_LT(begin, end);
        for (int64_t i = begin; i < end; ++i) ++runs[i];
      });
      for (auto& count : runs) EXPECT_EQ(count.load(), 1);
    }
  }
}

// Thousands of short jobs in a row, some after pauses long enough for the workers to sleep: a lost
// wake-up would hang, a task run under another job's body would be counted there.
TEST(ThreadPool, ManyShortJobs) {
  ThreadPool pool(4);
  for (int job = 0; job < 3000; ++job) {
    const int tasks = 1 + job % 9;
    std::atomic<int> done{0};
    pool.run(tasks, [&](int64_t, uint32_t) { ++done; });
    ASSERT_EQ(done.load(), tasks) << "job " << job;
    if (job % 300 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// What tasks wrote is seen by the caller, and what the caller wrote by the next job's tasks.
TEST(ThreadPool, OrdersMemory) {
  ThreadPool pool(3);
  std::vector<int64_t> values(64, 0);
  for (int round = 1; round <= 200; ++round) {
    pool.run(64, [&](int64_t task, uint32_t) { values[63 - task] += 1; });
    for (int64_t& v : values) {
      ASSERT_EQ(v, 2 * round - 1);
      ++v;
    }
  }
}

}  // namespace
}  // namespace dcc::cpu
