// "did you mean": the known name nearest to a mistyped one.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace dcc {

// Insertions, deletions and substitutions of bytes that turn `a` into `b`.
inline size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      size_t substituted = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// The first of the names with the least distance to `word`; "" when there are no names. `names` is
// any range of what converts to std::string_view.
template <class Names>
std::string nearestName(std::string_view word, const Names& names) {
  std::string_view best;
  size_t least = std::string_view::npos;
  for (const auto& name : names) {
    size_t distance = editDistance(word, name);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return std::string(best);
}

}  // namespace dcc
