#include "passes/Strategy.h"

namespace dcc {

static constexpr Strategy kStrategies[] = {
    {.name = "colwise",
     .linear = 0,
     .embedding = 1,
     .bias = 0,
     .input = "whole",
     .output = "cut by features",
     .collective = "none"},
    {.name = "rowwise",
     .linear = 1,
     .embedding = 0,
     .bias = {},
     .input = "cut by features (an embedding: token ids)",
     .output = "partial sum",
     .collective = "all_reduce before the first non-linear use"},
    {.name = "colwise_rep",
     .linear = 0,
     .embedding = 1,
     .bias = 0,
     .gather_output = true,
     .input = "whole",
     .output = "whole",
     .collective = "all_gather"},
    {.name = "rowwise_rep",
     .linear = 1,
     .embedding = 0,
     .bias = {},
     .split_input = true,
     .input = "whole, sliced",
     .output = "partial sum",
     .collective = "all_reduce before the first non-linear use"},
    {.name = "replicate",
     .linear = {},
     .embedding = {},
     .bias = {},
     .input = "whole",
     .output = "whole",
     .collective = "none"},
    {.name = "embedding_rowwise",
     .linear = {},
     .embedding = 0,
     .bias = {},
     .input = "token ids",
     .output = "partial sum",
     .collective = "all_reduce before the first non-linear use"},
    {.name = "embedding_colwise",
     .linear = {},
     .embedding = 1,
     .bias = {},
     .input = "token ids",
     .output = "cut by features",
     .collective = "none"},
    // Names of transformers 5 for the above.
    {.name = "colwise_gather_output",
     .linear = 0,
     .embedding = 1,
     .bias = 0,
     .gather_output = true,
     .input = "whole",
     .output = "whole",
     .collective = "all_gather"},
    {.name = "rowwise_split_input",
     .linear = 1,
     .embedding = 0,
     .bias = {},
     .split_input = true,
     .input = "whole, sliced",
     .output = "partial sum",
     .collective = "all_reduce before the first non-linear use"},
};

std::span<const Strategy> strategies() { return kStrategies; }

const Strategy* findStrategy(std::string_view name) {
  for (const Strategy& strategy : kStrategies) {
    if (strategy.name == name) return &strategy;
  }
  return nullptr;
}

std::string strategyNames() {
  std::string names;
  for (const Strategy& strategy : kStrategies) {
    names += (names.empty() ? "" : ", ") + std::string(strategy.name);
  }
  return names;
}

}  // namespace dcc
