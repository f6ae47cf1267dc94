// What a tp_plan may say of a module: how its weights are cut, what it takes and what it gives. One
// table, read by `annotate`, `dcc strategies` and docs/strategies.md; strategies of the user's own
// are rows of the same kind.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "include/dcc/strategy.h"

namespace dcc {

// Where a module's input or output lies.
enum class Layout {
  kAny,       // as it comes: what follows from the weight's cut and the input
  kWhole,     // on every rank
  kFeatures,  // cut along the last dimension
  kTokens,    // cut along the tokens of the step
};

struct Strategy {
  std::string_view name;
  // The dimension that is cut. A linear's weight is [out, in], an embedding's [vocabulary, hidden];
  // a vector is a bias or a norm's weight.
  std::optional<int> linear, embedding, vector;
  // A packed weight: that dimension is several blocks, and each is cut.
  bool packed = false;
  // What must arrive, what the module works on and what it gives; other than kAny it is brought
  // there.
  Layout arrives = Layout::kAny, input = Layout::kAny, output = Layout::kAny;
  // Of experts whole ones are held, some on every rank.
  bool experts = false;
  // It speaks of a module as a whole, whose weights have rules of their own.
  bool of_module = false;
  // For people.
  std::string_view takes = {}, gives = {}, collective = {};
  // Of a library: it decides the cuts, and the dimensions above say nothing.
  const plugin::Strategy* library = nullptr;
};

std::span<const Strategy> strategies();
// Of the table or of a library that was loaded; null when there is none of that name.
const Strategy* findStrategy(std::string_view name);
// Makes a strategy of a library known; false when the name is taken.
bool registerStrategy(const std::string& name, std::unique_ptr<plugin::Strategy> strategy);
// "rows; embedding: features"
std::string cutInWords(const Strategy& strategy);
// "colwise, rowwise, ...": for messages.
std::string strategyNames();

}  // namespace dcc
