// The collectives of a plan's entry, with what explains each: who asked for it, who needs it, what
// it costs and why it is still there.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/footprint/traffic.h"
#include "runtime/plan/plan.h"

namespace dcc {

// The path of a module in a numbered layer: "model.layers.3.self_attn.o_proj" is layer 3 of
// "model.layers", "self_attn.o_proj" of it.
struct LayerPath {
  std::string of;
  uint32_t layer = 0;
  std::string inside;
};
// Nothing where no part of the path is a number.
std::optional<LayerPath> layerOf(std::string_view module);

struct CollectiveReport {
  uint32_t instruction = 0;  // index into the entry's
  std::string module;        // whose result it exchanges
  std::string op, axis;
  std::string because;  // the rule, with file and line where it comes from one
  struct Consumer {
    std::string module, op;
    bool operator==(const Consumer&) const = default;
  };
  std::vector<Consumer> needed_by;  // none: it is the entry's result
  std::string kept;                 // why it was neither removed nor merged with another
  footprint::Moved moved;
};

// Of a verified plan's entry, for a step whose sizes those are (footprint::sizesAt).
std::vector<CollectiveReport> reportCollectives(const plan::fb::Plan& plan,
                                                const plan::fb::Entry& entry,
                                                std::span<const int64_t> sizes,
                                                TransportKind transport);

// Collectives that differ in their layer's number only.
struct FoldedCollectives {
  CollectiveReport first;
  std::vector<uint32_t> layers;  // none outside of layers
  // "model.layers.0-21.self_attn.o_proj"
  std::string modules() const;
  uint32_t count() const { return layers.empty() ? 1 : static_cast<uint32_t>(layers.size()); }
};
std::vector<FoldedCollectives> fold(std::vector<CollectiveReport> reports);

// A module as seen from another: without the path where both are in one layer, "input_layernorm of
// the next layer".
std::string seenFrom(const std::string& module, const std::string& other);

}  // namespace dcc
