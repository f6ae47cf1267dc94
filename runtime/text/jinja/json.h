// JSON as Python's json.dumps writes it, and as it is read.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "runtime/base/status.h"
#include "runtime/text/jinja/run.h"
#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

struct JsonStyle {
  bool ascii = false;  // everything else as \uXXXX
  bool lines = false;  // an item a line, indented by `indent` a level
  std::string indent;
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false;
};

// Errors: values that JSON has no form for; keys that are no text, number, boolean or null.
Status addJson(Run& run, const Value& value, const JsonStyle& style, TextBuilder& out);

// Error: integers that 64 bits don't hold.
Result<Value> fromJson(Run& run, const nlohmann::ordered_json& json);

}  // namespace dcc::jinja
