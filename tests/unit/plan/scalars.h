// Every number and every text in a serialized plan, found through the schema's reflection so that a
// field added to plan.fbs cannot be forgotten by the tests that change them all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plan_generated.h"

namespace dcc::plan::testing {

struct Scalar {
  std::string path;   // "entries[0].buffers[3].offset"
  std::string field;  // the same without indices: "entries.buffers.offset"
  size_t at;          // byte in the buffer
  size_t bytes;       // 1, 2, 4 or 8
  bool is_float;
};

struct Text {
  std::string path, field;
  size_t at, bytes;  // of the characters
};

struct Fields {
  std::vector<Scalar> scalars;
  std::vector<Text> texts;
};

// Serializes with every scalar present, also those that have their default.
std::vector<uint8_t> serializeAll(const fb::PlanT& plan);

// Of a buffer that serializeAll() made.
Fields fieldsOf(const std::vector<uint8_t>& bytes);

}  // namespace dcc::plan::testing
