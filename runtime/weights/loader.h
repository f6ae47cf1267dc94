// Puts a rank's weights together from the pieces of the checkpoint that its plan names, or from
// nothing but a seed where the plan says random.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.h"
#include "runtime/weights/part.h"

namespace dcc {

// Bytes of a weight in memory.
uint64_t weightBytes(const plan::fb::Weight& weight);

class WeightLoader {
 public:
  // Bytes read from the checkpoint so far, of all that load() reads. Called by one thread at a
  // time, at the end with done == total.
  using Progress = std::function<void(uint64_t done, uint64_t total)>;

  // Opens the files that the plan's pieces come from and checks that they are those it was compiled
  // from, by size and header hash. They are in `checkpoint`, or where the plan says when that is
  // empty. Errors (user) name the file and what differs; a `checkpoint` for a plan that reads none
  // is one.
  static Result<WeightLoader> open(const plan::Plan& plan, const std::string& checkpoint = "");

  // What load() reads from the checkpoint.
  uint64_t totalBytes() const { return total_bytes_; }

  // Fills these parts of weights with `threads` threads. Reads no other bytes than those of the
  // pieces and small gaps between them. What `progress` is told counts on from call to call. Errors
  // (runtime): reading fails or a file has become shorter; they name file and tensor.
  Status load(std::span<const WeightPart> parts, uint32_t threads, const Progress& progress = {});

 private:
  // Opens a file of the plan, once, and sees that it is the right one.
  Status openFile(const std::string& dir, uint32_t index);

  explicit WeightLoader(plan::Plan plan) : plan_(std::move(plan)) {}

  plan::Plan plan_;
  std::vector<InputFile> files_;  // of Plan.files; closed where no piece needs it
  uint64_t total_bytes_ = 0, done_bytes_ = 0;
};

}  // namespace dcc
