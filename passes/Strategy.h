// The strategies a tp_plan may name: one table, read by `annotate` and `dcc strategies`.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dcc {

// Dimensions count from 0; a linear's weight is [out, in], an embedding's [vocabulary, hidden].
struct Strategy {
  std::string_view name;
  std::optional<int> linear;     // dimension of a linear's weight that is cut
  std::optional<int> embedding;  // dimension of an embedding's weight that is cut
  std::optional<int> bias;       // dimension of a bias (or another vector) that is cut
  bool split_input = false;      // takes its input whole and works on its own part
  bool gather_output = false;    // gives its output whole on every rank
  std::string_view input, output, collective;  // for people
};

std::span<const Strategy> strategies();
// Null when there is none of that name.
const Strategy* findStrategy(std::string_view name);
// "colwise, rowwise, ...": for messages.
std::string strategyNames();

}  // namespace dcc
