// Where the values of a JSON text stand, for diagnostics.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>

namespace dcc::graph {

// From a value to its line, from 1: of an object's field the line of its key, of an array's element
// the line on which it begins.
using KeyLines = std::unordered_map<const nlohmann::json*, size_t>;

// Of every value but the document itself. `document` is what parseJson has made of `text`, so that
// the text is valid and has no duplicate keys; the lines belong to this object, not to copies.
KeyLines keyLines(std::string_view text, const nlohmann::json& document);

}  // namespace dcc::graph
