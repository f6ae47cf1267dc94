#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "runtime/generate/argmax.h"
#include "runtime/generate/sampler.h"

namespace dcc::generate {
namespace {

Argmax largestOf(const LogitsPart& logits, int32_t row) {
  if (logits.largest.empty()) {
    return argmax({logits.data + row * logits.row_stride, static_cast<size_t>(logits.columns)});
  }
  const Largest& found = logits.largest[row];
  return {found.value, found.column, std::isnan(found.value)};
}

class Greedy final : public Sampler {
 public:
  explicit Greedy(Communicator& world) : world_(world) {}

  Status sampleRows(const LogitsPart& logits, std::span<const int32_t> rows,
                    std::span<int32_t> tokens) override;

 private:
  struct Candidate {
    float value;
    int32_t id;
  };

  Communicator& world_;
  std::vector<Candidate> candidates_;  // [ranks, rows]
  std::vector<size_t> bytes_;
};

Status Greedy::sampleRows(const LogitsPart& logits, std::span<const int32_t> rows,
                          std::span<int32_t> tokens) {
  if (rows.empty()) return Status::success();
  const bool cut = !logits.begins.empty();
  const auto begin = static_cast<int32_t>(cut ? logits.begins[world_.rank()] : 0);
  candidates_.resize(rows.size() * (world_.size() + 1));
  const std::span own = std::span(candidates_).first(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const Argmax best = largestOf(logits, rows[i]);
    if (best.nan) {
      return runtimeError("logits: row " + std::to_string(rows[i]) +
                          " holds NaN, not a number; the checkpoint may be damaged");
    }
    own[i] = {best.value, begin + best.index};
    if (best.index < 0) own[i] = {-std::numeric_limits<float>::infinity(), INT32_MAX};
  }
  std::span all = own;
  uint32_t ranks = 1;
  if (cut && world_.size() > 1) {
    ranks = world_.size();
    all = std::span(candidates_).subspan(rows.size());
    bytes_.assign(ranks, own.size_bytes());
    DCC_RETURN_IF_ERROR(world_.allGather(own.data(), all.data(), bytes_));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    Candidate best = all[i];
    for (uint32_t r = 1; r < ranks; ++r) {
      const Candidate& other = all[r * rows.size() + i];
      if (other.value > best.value || (other.value == best.value && other.id < best.id)) {
        best = other;
      }
    }
    tokens[i] = best.id;
  }
  return Status::success();
}

}  // namespace

std::unique_ptr<Sampler> greedySampler(Communicator& world) {
  return std::make_unique<Greedy>(world);
}

}  // namespace dcc::generate
