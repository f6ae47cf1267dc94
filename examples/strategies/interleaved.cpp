// A strategy that dcc does not have: the rows of a weight are dealt to the ranks in turns of four,
// as one deals cards. Built outside dcc's tree:
//
//   g++ -std=c++20 -shared -fPIC -I include examples/strategies/interleaved.cpp -o interleaved.so
//   dcc compile examples/shakespeare-llama --tp 2 -o plan/ --load-strategies ./interleaved.so
//       --tp-plan examples/strategies/library_plan.json
#include <algorithm>

#include <dcc/strategy.h>

namespace {

using namespace dcc::plugin;

constexpr int64_t kTurn = 4;

std::vector<std::vector<Range>> dealt(int64_t size, int ranks) {
  std::vector<std::vector<Range>> parts(static_cast<size_t>(ranks));
  for (int64_t begin = 0; begin < size; begin += kTurn) {
    const auto rank = static_cast<size_t>(begin / kTurn % ranks);
    parts[rank].push_back({begin, std::min(begin + kTurn, size)});
  }
  return parts;
}

// Rows dealt: the output's features are dealt alike.
class InterleavedColwise : public Strategy {
 public:
  std::optional<Partition> partitionTensor(const Tensor& tensor) const override {
    return Partition{0, dealt(tensor.shape[0], tensor.ranks)};
  }
  Layout inputLayout() const override { return Layout::kWhole; }
};

// Columns dealt: takes what the other one gives, and leaves a sum.
class InterleavedRowwise : public Strategy {
 public:
  std::optional<Partition> partitionTensor(const Tensor& tensor) const override {
    if (tensor.parameter == "bias") return std::nullopt;
    return Partition{1, dealt(tensor.shape[1], tensor.ranks)};
  }
};

}  // namespace

DCC_STRATEGIES(registry) {
  registry.add("interleaved_colwise", std::make_unique<InterleavedColwise>());
  registry.add("interleaved_rowwise", std::make_unique<InterleavedRowwise>());
}
