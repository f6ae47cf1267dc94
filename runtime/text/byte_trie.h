// A set of byte strings, each with a number, walked one byte at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace dcc::text {

class ByteTrie {
 public:
  static constexpr int32_t kRoot = 0;
  static constexpr int32_t kNone = -1;

  ByteTrie() : ByteTrie(std::vector<std::pair<std::string_view, int32_t>>{}) {}
  // Of equal strings the last one's value counts. Values are not negative, strings not empty.
  explicit ByteTrie(std::vector<std::pair<std::string_view, int32_t>> entries);

  // The node that a byte leads to; kNone: no string goes on so.
  int32_t step(int32_t node, char byte) const {
    const auto label = static_cast<unsigned char>(byte);
    if (node == kRoot) return root_[label];
    // Children are in the order of their labels.
    int32_t low = nodes_[static_cast<size_t>(node)].first;
    int32_t high = low + nodes_[static_cast<size_t>(node)].count;
    while (low < high) {
      const int32_t middle = low + (high - low) / 2;
      const uint8_t found = nodes_[static_cast<size_t>(middle)].label;
      if (found == label) return middle;
      if (found < label) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return kNone;
  }
  // The node that a string leads to from `node`.
  int32_t walk(int32_t node, std::string_view text) const {
    for (size_t i = 0; i < text.size() && node != kNone; ++i) node = step(node, text[i]);
    return node;
  }
  // The value of the string that ends at a node; kNone: none does.
  int32_t value(int32_t node) const { return nodes_[static_cast<size_t>(node)].value; }

 private:
  struct Node {
    int32_t value = kNone;
    int32_t first = 0;  // children lie side by side
    int16_t count = 0;
    uint8_t label = 0;
  };
  std::vector<Node> nodes_;
  std::array<int32_t, 256> root_;  // the root has too many children to look at one by one
};

}  // namespace dcc::text
