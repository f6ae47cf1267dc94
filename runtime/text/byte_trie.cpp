#include "runtime/text/byte_trie.h"

#include <algorithm>
#include <deque>

namespace dcc::text {

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, int32_t>> entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  // Breadth first, so that the children of a node become neighbours. A task is a node with its
  // range of the sorted entries, which agree in their first `depth` bytes.
  struct Task {
    int32_t node;
    size_t begin, end, depth;
  };
  nodes_.emplace_back();
  std::deque<Task> tasks{{kRoot, 0, entries.size(), 0}};
  while (!tasks.empty()) {
    auto [node, begin, end, depth] = tasks.front();
    tasks.pop_front();
    for (; begin < end && entries[begin].first.size() == depth; ++begin) {
      nodes_[static_cast<size_t>(node)].value = entries[begin].second;
    }
    nodes_[static_cast<size_t>(node)].first = static_cast<int32_t>(nodes_.size());
    while (begin < end) {
      const char label = entries[begin].first[depth];
      size_t next = begin;
      while (next < end && entries[next].first[depth] == label) ++next;
      tasks.push_back({static_cast<int32_t>(nodes_.size()), begin, next, depth + 1});
      nodes_.emplace_back().label = static_cast<unsigned char>(label);
      ++nodes_[static_cast<size_t>(node)].count;
      begin = next;
    }
  }
  root_.fill(kNone);
  for (int32_t child = nodes_[0].first; child < nodes_[0].first + nodes_[0].count; ++child) {
    root_[nodes_[static_cast<size_t>(child)].label] = child;
  }
}

}  // namespace dcc::text
