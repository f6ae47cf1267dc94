// `dcc compile`: a model, or the IR of a phase, to a plan directory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/status.h"

namespace dcc {

struct CompileOptions {
  std::string model;  // Hugging Face directory, its config.json, a model.json, or the IR of a phase
  std::string output;  // the plan directory; with stop_after a file, "" or "-" for stdout
  // Absent or empty: what model.json says, else the default.
  std::optional<int64_t> tp, dp, cp, pp;
  bool expert_parallel = false;       // whole experts on every rank
  std::string tp_plan;                // "auto" or a plan file
  std::vector<std::string> tp_rules;  // PATTERN=STRATEGY
  bool allow_implicit_gather = false;
  std::vector<std::string> rewrites;         // NAME=on, NAME=off
  std::vector<std::string> load_strategies;  // libraries that have some
  std::string target;                        // "cpu", "cuda"
  std::string dtype;                         // "auto", "f32", "bf16", "f16"
  std::string numerics;                      // "fast", "invariant"
  std::string weights;                       // "checkpoint", "dummy", "dummy:SEED"
  std::optional<int64_t> max_tokens, max_seqs, max_seq_len;
  // Budgets: a rank may need so much memory ("80GiB"), a layer have so many collectives in a step.
  std::string memory;
  std::optional<uint32_t> max_collectives_per_layer;
  std::string stop_after;                            // a phase
  std::function<void(const std::string&)> progress;  // told of what begins, if given
};

// What was made, for a line to the user.
struct CompileSummary {
  std::string model;  // "LlamaForCausalLM, 6 layers"
  int64_t ranks = 0;
};

Result<CompileSummary> compile(const CompileOptions& options);

}  // namespace dcc
