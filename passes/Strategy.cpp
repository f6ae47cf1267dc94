#include "passes/Strategy.h"

namespace dcc {
namespace {

constexpr std::string_view kSum = "all_reduce before the first non-linear use";

constexpr Strategy kColwise = {.name = "colwise",
                               .linear = 0,
                               .embedding = 1,
                               .bias = 0,
                               .input = "whole",
                               .output = "cut by features",
                               .collective = "none"};
constexpr Strategy kRowwise = {.name = "rowwise",
                               .linear = 1,
                               .embedding = 0,
                               .bias = {},
                               .input = "cut by features (an embedding: token ids)",
                               .output = "partial sum",
                               .collective = kSum};
constexpr Strategy kReplicate = {.name = "replicate",
                                 .linear = {},
                                 .embedding = {},
                                 .bias = {},
                                 .input = "whole",
                                 .output = "whole",
                                 .collective = "none"};

// Variants of the three above.
constexpr Strategy gathered(std::string_view name) {
  Strategy s = kColwise;
  s.name = name;
  s.gather_output = true;
  s.output = "whole";
  s.collective = "all_gather";
  return s;
}
constexpr Strategy sliced(std::string_view name) {
  Strategy s = kRowwise;
  s.name = name;
  s.split_input = true;
  s.input = "whole, sliced";
  return s;
}
constexpr Strategy ofEmbedding(std::string_view name, Strategy s) {
  s.name = name;
  s.linear = s.bias = std::nullopt;
  s.input = "token ids";
  return s;
}

// What transformers 5 calls otherwise stands beside its older name.
constexpr Strategy kStrategies[] = {
    kColwise,
    kRowwise,
    gathered("colwise_rep"),
    gathered("colwise_gather_output"),
    sliced("rowwise_rep"),
    sliced("rowwise_split_input"),
    kReplicate,
    ofEmbedding("embedding_rowwise", kRowwise),
    ofEmbedding("embedding_colwise", kColwise),
};

}  // namespace

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
