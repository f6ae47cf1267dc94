// A strategy that a tp_plan declares itself, as data.
#pragma once

#include <optional>
#include <string>

namespace dcc {

struct StrategySpec {
  std::string name;  // by which other rules may use it
  // The dimension that is cut of a matrix ([out, in], an embedding's [vocabulary, features]) and of
  // a vector; none: whole.
  std::optional<int> weight, bias;
  bool packed = false;  // the dimension is several blocks, and each is cut
  // "any", "whole", "features", "tokens": what must arrive, what is worked on, what is given.
  std::string arrives = "any", input = "any", output = "any";
};

}  // namespace dcc
