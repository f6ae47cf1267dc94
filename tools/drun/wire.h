// Numbers and lists as bytes, from a rank to another of the same build.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/collectives/communicator.h"

namespace dcc::drun {

template <class T>
void put(std::string& to, const T* values, size_t count) {
  to.append(reinterpret_cast<const char*>(values), count * sizeof(T));
}
inline void put(std::string& to, uint64_t value) { put(to, &value, 1); }
// With its length in front.
template <class T>
void put(std::string& to, const std::vector<T>& values) {
  put(to, uint64_t{values.size()});
  put(to, values.data(), values.size());
}

// Takes what put() wrote, in order. What comes from another rank of this program is as it should
// be; a damaged count still ends in nothing worse than an empty list.
class Taker {
 public:
  explicit Taker(std::string_view from) : from_(from) {}

  uint64_t number() {
    uint64_t value = 0;
    if (from_.size() < sizeof(value)) return 0;
    std::memcpy(&value, from_.data(), sizeof(value));
    from_.remove_prefix(sizeof(value));
    return value;
  }
  std::string_view bytes(uint64_t n) {
    const std::string_view taken = from_.substr(0, n);
    from_.remove_prefix(taken.size());
    return taken;
  }
  template <class T>
  std::vector<T> list() {
    const uint64_t count = std::min<uint64_t>(number(), from_.size() / sizeof(T));
    const std::string_view taken = bytes(count * sizeof(T));
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), taken.data(), taken.size());
    return values;
  }

 private:
  std::string_view from_;
};

// What every rank of a group has to give, on all of them.
class Gathered {
 public:
  // Collective.
  Status gather(const std::string& own, Communicator& group) {
    const uint64_t bytes = own.size();
    std::vector<uint64_t> sizes(group.size());
    DCC_RETURN_IF_ERROR(
        group.allGather(&bytes, sizes.data(), std::vector<size_t>(group.size(), sizeof(bytes))));
    bytes_.assign(sizes.begin(), sizes.end());
    all_.resize(std::accumulate(bytes_.begin(), bytes_.end(), size_t{0}));
    return group.allGather(own.data(), all_.data(), bytes_);
  }
  std::string_view of(uint32_t rank) const {
    const size_t begin = std::accumulate(bytes_.begin(), bytes_.begin() + rank, size_t{0});
    return std::string_view(all_).substr(begin, bytes_[rank]);
  }

 private:
  std::string all_;
  std::vector<size_t> bytes_;
};

}  // namespace dcc::drun
