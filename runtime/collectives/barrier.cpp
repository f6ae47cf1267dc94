#include "runtime/collectives/barrier.h"

#include <sched.h>

#include <algorithm>
#include <vector>

#include "runtime/collectives/futex.h"

namespace dcc {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// About 20 us of spinning, then 200 us of yielding (an idle core comes back from a yield at once).
constexpr int kSpins = 500;
constexpr int kYields = 400;
constexpr int kCrowdedYields = 2;
constexpr milliseconds kSlice{50};  // a sleeper looks up this often to see who is still alive

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

bool Barrier::passed(uint32_t word) const {
  return static_cast<int32_t>((word & ~1u) - target_) >= 0;
}

void Barrier::beat() {
  std::atomic<uint32_t>& beats = region_.members_[rank_].beats;
  beats.store(beats.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

Status Barrier::wait(const CallTag& tag) {
  const uint32_t parity = count_ & 1;
  Region::Member& self = region_.members_[rank_];
  self.tags[parity] = tag;
  self.arrived.store(++count_, std::memory_order_relaxed);
  target_ += 2 * region_.ranks_;

  Region::Gate& gate = *region_.gate_;
  uint32_t word = gate.word.fetch_add(2) + 2;
  if (passed(word)) {
    // Sequentially consistent with sleep(): either we see the sleeper or it sees our arrival.
    if (gate.sleepers.load() != 0) futexWakeAll(gate.word);
  } else {
    const int spins = options_.crowded ? 0 : kSpins;
    const int yields = options_.crowded ? kCrowdedYields : kYields;
    for (int i = 0; i < spins + yields && !passed(word) && !(word & 1); ++i) {
      if (i < spins) {
        pause();
      } else {
        ::sched_yield();
      }
      word = gate.word.load(std::memory_order_acquire);
    }
    if (!passed(word) && !(word & 1)) DCC_RETURN_IF_ERROR(sleep(tag));
    word = gate.word.load(std::memory_order_acquire);
  }
  if (ended(word)) return aborted();
  return compareTags(tag, parity);
}

Status Barrier::sleep(const CallTag& tag) {
  std::atomic<uint32_t>& word = region_.gate_->word;
  std::atomic<uint32_t>& sleepers = region_.gate_->sleepers;
  uint64_t life = signsOfLife();
  nanoseconds waited{0};
  auto before = steady_clock::now();
  for (uint32_t seen = word.load(); !passed(seen) && !ended(seen); seen = word.load()) {
    sleepers.fetch_add(1);
    futexWait(word, seen, kSlice);
    sleepers.fetch_sub(1);
    const auto now = steady_clock::now();
    // A slice that took much longer is time in which we were stopped, and our peers maybe too.
    waited += std::min<nanoseconds>(now - before, 2 * kSlice);
    before = now;
    if (const uint64_t alive = signsOfLife(); alive != life) {
      life = alive;
      waited = nanoseconds{0};
    }
    if (waited >= options_.deadline) return overdue(tag);
  }
  return Status::success();
}

uint64_t Barrier::signsOfLife() const {
  uint64_t sum = 0;
  for (uint32_t r = 0; r < region_.ranks_; ++r) {
    const Region::Member& member = region_.members_[r];
    const uint32_t arrived = member.arrived.load(std::memory_order_relaxed);
    sum += arrived;
    if (arrived == count_) continue;
    const Where where = whole().whereabouts(numberOf(r)).read();
    sum += uint64_t{member.beats.load(std::memory_order_relaxed)} + where.place +
           where.instruction + where.step + where.calls;
  }
  return sum;
}

Status Barrier::aborted() const {
  const auto first = whole().firstError();
  return first ? first->named() : runtimeError("the group was aborted");
}

Status Barrier::overdue(const CallTag& tag) const {
  std::vector<uint32_t> missing;
  for (uint32_t r = 0; r < region_.ranks_; ++r) {
    const uint32_t arrived = region_.members_[r].arrived.load(std::memory_order_relaxed);
    if (static_cast<int32_t>(arrived - count_) >= 0) continue;
    missing.push_back(numberOf(r));
    whole().markMissed(numberOf(r));
  }
  return overdueError(tag, missing, options_.deadline);
}

Status Barrier::compareTags(const CallTag& tag, uint32_t parity) const {
  for (uint32_t r = 0; r < region_.ranks_; ++r) {
    const CallTag& other = region_.members_[r].tags[parity];
    if (other == tag) continue;
    return divergenceError(numberOf(rank_), tag, numberOf(r), other);
  }
  return Status::success();
}

}  // namespace dcc
