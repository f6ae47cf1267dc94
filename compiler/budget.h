// Budgets: what a plan may cost, or it is an error.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "runtime/base/status.h"
#include "runtime/plan/plan.h"

namespace dcc {

// "80GiB", "512MiB", "1.5GB", "1000000": a number and B, kB, MB, GB, TB (of 1000) or KiB, MiB, GiB,
// TiB (of 1024). User error where it is none, or 0.
Result<uint64_t> parseBytes(const std::string& text);

// In no entry of the ranks' plans may a layer have more collectives. The error (user) names the
// layer, and each of its collectives with the rule that caused it.
Status checkCollectivesPerLayer(std::span<const plan::Plan> plans, uint32_t most);

// Limits of a plan that decide how much memory its ranks need.
struct PlanLimits {
  int64_t max_tokens = 0, max_seqs = 0, max_seq_len = 0;
};

// Of the plans' ranks the one that needs most, in bytes (footprint::Memory::total).
uint64_t memoryNeeded(std::span<const plan::Plan> plans);

// No rank may need more than `bytes`. The error (user) says what is needed by kind, and up to where
// one of the limits would have to come down. `needed` compiles the model with other limits and says
// what the largest rank then needs; empty: they can't be changed.
Status checkMemory(std::span<const plan::Plan> plans, uint64_t bytes, const std::string& asked,
                   const std::function<Result<uint64_t>(const PlanLimits&)>& needed);

}  // namespace dcc
