// Where the keys of a JSON text stand, for diagnostics.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace dcc::graph {

// From JSON pointer ("/mesh/tp", with RFC 6901's ~0 and ~1) to the line of the key, from 1. Keys
// of objects inside arrays are left out. `text` must be valid JSON without duplicate keys, as
// parseJson has found.
std::map<std::string, size_t> keyLines(std::string_view text);

}  // namespace dcc::graph
