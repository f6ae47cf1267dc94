#include "runtime/backends/cuda/emulation/language.h"

#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/backends/cuda/emulation/stream.h"

namespace dcc::cuda::emulation {
namespace {

namespace ctx = boost::context;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "cuda emulation: %s\n", what);
  std::abort();
}

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
};

// Threads that wait for each other: a block's, or a warp's. Those that have ended count as arrived.
struct Barrier {
  unsigned arrived = 0;
  uint64_t generation = 0;
};

struct Thread {
  Here here;
  unsigned number = 0;
  ctx::fiber fiber;
  bool done = false;
  std::vector<std::vector<Copy>> groups;  // of asynchronous copies, committed; the last is open
};

struct Warp {
  Barrier barrier;
  unsigned live = 0;  // bits of threads that have not ended
  unsigned waiting = 0, mask = 0;
  std::array<std::array<uint64_t, 32>, 2> values{};  // in turns: the next exchange may begin early
  unsigned turn[32] = {};
};

// Memory for stacks that the fibers of one CPU thread use again and again.
class Stacks {
 public:
  ctx::stack_context take() {
    if (free_.empty()) return allocator_.allocate();
    ctx::stack_context stack = free_.back();
    free_.pop_back();
    return stack;
  }
  void give(const ctx::stack_context& stack) { free_.push_back(stack); }
  ~Stacks() {
    for (ctx::stack_context& stack : free_) allocator_.deallocate(stack);
  }

 private:
  ctx::fixedsize_stack allocator_{64 * 1024};
  std::vector<ctx::stack_context> free_;
};
thread_local Stacks stacks;

struct PooledStack {
  ctx::stack_context allocate() { return stacks.take(); }
  void deallocate(ctx::stack_context& stack) { stacks.give(stack); }
};

struct Block {
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  Barrier barrier;
  unsigned live = 0;
  Thread* running = nullptr;
  ctx::fiber scheduler;
  uint64_t progress = 0;
  bool paused = false;  // a thread looks for what comes from another rank
  std::vector<std::max_align_t> shared;
};
thread_local Block* current = nullptr;

Thread& self() {
  if (current == nullptr || current->running == nullptr)
    fail("device code called outside a kernel");
  return *current->running;
}

void yield() {
  Thread& thread = self();
  current->scheduler = std::move(current->scheduler).resume();
  current->running = &thread;
}

// Whether this arrival, or that of an ended thread, completes it.
void passIfAll(Barrier& barrier, unsigned all) {
  if (barrier.arrived < all || barrier.arrived == 0) return;
  barrier.arrived = 0;
  ++barrier.generation;
  ++current->progress;
}

void passWarp(Warp& warp) {
  const unsigned needed = warp.mask & warp.live;
  if (warp.waiting == 0 || (warp.waiting & needed) != needed) return;
  warp.waiting = 0;
  ++warp.barrier.generation;
  ++current->progress;
}

void finish(Thread& thread) {
  thread.done = true;
  --current->live;
  ++current->progress;
  Warp& warp = current->warps[thread.number / 32];
  warp.live &= ~(1u << thread.number % 32);
  passIfAll(current->barrier, current->live);
  passWarp(warp);
}

bool reversed() {
  static const bool reverse = [] {
    const char* order = std::getenv("DCC_EMULATION_ORDER");
    return order != nullptr && std::string_view(order) == "reverse";
  }();
  return reverse;
}

// Lets the threads take turns until all have ended.
void runBlock(Block& block) {
  const size_t n = block.threads.size();
  const auto nth = [&](size_t i) -> Thread& { return block.threads[reversed() ? n - 1 - i : i]; };
  while (block.live > 0) {
    const uint64_t before = block.progress;
    for (size_t i = 0; i < n; ++i) {
      Thread& thread = nth(i);
      if (thread.done) continue;
      block.running = &thread;
      thread.fiber = std::move(thread.fiber).resume();
    }
    if (std::exchange(block.paused, false)) std::this_thread::yield();
    if (block.progress == before) fail("threads of a block wait for some that never arrive");
  }
}

void runGrid(dim3 grid, dim3 block_dim, size_t shared, const std::function<void()>& body) {
  Block block;
  block.shared.resize(shared / sizeof(std::max_align_t) + 1);
  const unsigned count = block_dim.x * block_dim.y * block_dim.z;
  if (count == 0 || count > 1024) fail("a block has 1 to 1024 threads");
  if (shared > 227 * 1024) fail("a block has at most 227 KiB of shared memory");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) {
    fail("a grid has at least one block, and at most 65535 along y and z");
  }
  Block* const outer = std::exchange(current, &block);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        block.threads = std::vector<Thread>(count);
        block.warps.assign((count + 31) / 32, {});
        block.barrier = {};
        block.live = count;
        // What shared memory holds at first is anything: a pattern that is no number.
        std::memset(block.shared.data(), 0xff, block.shared.size() * sizeof(std::max_align_t));
        for (unsigned t = 0; t < count; ++t) {
          Thread& thread = block.threads[t];
          thread.number = t;
          thread.here = {
              {t % block_dim.x, t / block_dim.x % block_dim.y, t / block_dim.x / block_dim.y},
              {x, y, z},
              block_dim,
              grid};
          block.warps[t / 32].live |= 1u << t % 32;
          thread.fiber = ctx::fiber(std::allocator_arg, PooledStack(), [&](ctx::fiber&& scheduler) {
            current->scheduler = std::move(scheduler);
            body();
            finish(self());
            return std::move(current->scheduler);
          });
        }
        runBlock(block);
      }
    }
  }
  current = outer;
}

}  // namespace

Here& here() { return self().here; }

unsigned lane() { return self().number % 32; }

void blockBarrier() {
  Barrier& barrier = current->barrier;
  self();
  const uint64_t generation = barrier.generation;
  ++barrier.arrived;
  ++current->progress;
  passIfAll(barrier, current->live);
  while (barrier.generation == generation) yield();
}

void warpBarrier(unsigned mask) {
  Thread& thread = self();
  Warp& warp = current->warps[thread.number / 32];
  const unsigned own = 1u << thread.number % 32;
  if ((mask & own) == 0) fail("a thread waits for a warp's lanes without being one of them");
  if (warp.waiting != 0 && warp.mask != mask) {
    fail("lanes of a warp wait with different masks (not emulated)");
  }
  const uint64_t generation = warp.barrier.generation;
  warp.mask = mask;
  warp.waiting |= own;
  ++current->progress;
  passWarp(warp);
  while (warp.barrier.generation == generation) yield();
}

const std::array<uint64_t, 32>& exchange(unsigned mask, uint64_t value) {
  const unsigned number = self().number;
  Warp& warp = current->warps[number / 32];
  // Two tables in turns: who is first at the next exchange must not overwrite what others still
  // read.
  std::array<uint64_t, 32>& table = warp.values[warp.turn[number % 32]++ % 2];
  table[number % 32] = value;
  warpBarrier(mask);
  return table;
}

void launch(CUstream_st* stream, dim3 grid, dim3 block, size_t shared,
            std::function<void()> thread) {
  enqueue(stream, [=, body = std::move(thread)] { runGrid(grid, block, shared, body); });
}

std::byte* dynamicShared() {
  self();
  return reinterpret_cast<std::byte*>(current->shared.data());
}

void pause() {
  self();
  ++current->progress;  // for how long is the kernel's business
  current->paused = true;
  yield();
}

void copyAsync(void* to, const void* from, size_t bytes) {
  Thread& thread = self();
  if (reversed()) {
    std::memcpy(to, from, bytes);
    return;
  }
  if (thread.groups.empty()) thread.groups.emplace_back();
  thread.groups.back().push_back({to, from, bytes});
}

void commitCopies() {
  Thread& thread = self();
  if (thread.groups.empty()) thread.groups.emplace_back();
  thread.groups.emplace_back();
}

void waitForCopies(unsigned pending) {
  Thread& thread = self();
  while (thread.groups.size() > size_t{pending} + 1) {
    for (const Copy& copy : thread.groups.front()) std::memcpy(copy.to, copy.from, copy.bytes);
    thread.groups.erase(thread.groups.begin());
  }
}

}  // namespace dcc::cuda::emulation
