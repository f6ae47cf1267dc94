// Where every rank is: the flight recorder. A rank writes it while it runs, in memory that it
// shares with the others or in front of what it sends them; who waits for it in vain, or finds it
// dead, reads the last of it. Plans are the same program on all ranks, so a few numbers say it all.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace dcc {

// What Where.place says; in entry e of the plan it is kInEntry + e. kElsewhere: the rank says it in
// other memory.
enum Place : uint32_t {
  kStarting = 0,
  kLoading = 1,
  kBetweenSteps = 2,
  kEnding = 3,
  kElsewhere = 4,
  kInEntry = 5,
};

// Of Where.instruction: a device runs several and does not say which.
inline constexpr uint32_t kSomeInstruction = UINT32_MAX;

struct Where {
  uint32_t place = kStarting;
  uint32_t instruction = 0;  // of the entry, that is being run
  uint32_t step = 0;         // that is being run, from 0; between steps: so many are done
  uint32_t calls = 0;        // of collectives, begun by now

  bool operator==(const Where&) const = default;
};

// As its rank writes it: relaxed stores, for nothing else hangs on them. Of a rank that runs, the
// numbers may belong to two moments; one that does not move any more is where they say.
struct Whereabouts {
  std::atomic<uint32_t> place{kStarting}, instruction{0}, step{0}, calls{0};

  void set(std::atomic<uint32_t> Whereabouts::*what, uint32_t value) {
    (this->*what).store(value, std::memory_order_relaxed);
  }
  // Only its own rank writes.
  void countCall() {
    calls.store(calls.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  Where read() const {
    constexpr auto relaxed = std::memory_order_relaxed;
    return {place.load(relaxed), instruction.load(relaxed), step.load(relaxed),
            calls.load(relaxed)};
  }
};
static_assert(sizeof(Whereabouts) == 16 && sizeof(Where) == 16);

// A rank as others last heard of it.
struct Sighting {
  Where where;
  bool missed = false;  // somebody waited for it until the deadline
};

// "entry 'decode', instruction 37 (model.layers.2.mlp.down_proj)", by the plan; "entry 'decode'" of
// kSomeInstruction.
using DescribeInstruction = std::function<std::string(uint32_t entry, uint32_t instruction)>;

// "loading weights", "in step 14, entry 'decode', instruction 37 (...)": what follows "while".
// Without `describe` entries and instructions are numbers.
std::string whereText(const Where& where, const DescribeInstruction& describe);

// "0, 1, 3", "0-1022": ascending ranks.
std::string ranksText(std::span<const uint32_t> ranks);

// All ranks, those in one place on one line, so that a thousand stay short:
//   ranks 0, 1, 3: in step 14, entry 'decode', instruction 37 (...), collective 231
//   rank 2: in step 14, entry 'decode', instruction 35 (...), collective 230  <- missing
// Each line ends in a newline.
std::string sightingsText(std::span<const Sighting> ranks, const DescribeInstruction& describe);

}  // namespace dcc
