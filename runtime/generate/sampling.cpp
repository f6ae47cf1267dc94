#include "runtime/generate/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

#include "runtime/generate/argmax.h"
#include "runtime/generate/cutoff.h"

namespace dcc::generate {
namespace {

// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

uint64_t keyOf(uint64_t seed, uint32_t request, int32_t position) {
  return mix(mix(mix(seed) + request) + static_cast<uint32_t>(position));
}

// In (0, 1), and a function of nothing but seed, request, position and id.
double uniformOf(uint64_t key, int32_t id) {
  const uint64_t bits = mix(key + static_cast<uint32_t>(id)) >> 11;
  return (static_cast<double>(bits) + 0.5) * 0x1p-53;
}

// Draws by a race: token i arrives at time E_i / w_i, E_i exponential and its own, w_i its weight;
// the first to arrive is i with probability w_i / sum(w). Every rank runs its own columns, so
// neither sums nor draws depend on how the vocabulary is cut.
class Sampling final : public Sampler {
 public:
  Sampling(const SamplingOptions& options, Communicator& world)
      : options_(options), world_(world), greedy_(greedySampler(world)) {}

  Status sample(const LogitsPart& logits, const StepData& step,
                std::span<int32_t> tokens) override {
    const bool penalize = options_.repetition_penalty != 1;
    if (penalize) remember(step, logits);
    if (step.sampled.empty()) return Status::success();
    LogitsPart part = logits;
    rows_.assign(step.sampled.begin(), step.sampled.end());
    if (penalize) part = penalized(logits, step);
    if (options_.temperature == 0) return greedy_->sampleRows(part, rows_, tokens);
    return draw(part, step, tokens);
  }

  Status sampleRows(const LogitsPart& logits, std::span<const int32_t> rows,
                    std::span<int32_t> tokens) override {
    return greedy_->sampleRows(logits, rows, tokens);
  }

 private:
  struct Arrival {
    double time = std::numeric_limits<double>::infinity();
    int32_t id = INT32_MAX;
    int32_t unused = 0;
    bool operator<(const Arrival& other) const {
      return time != other.time ? time < other.time : id < other.id;
    }
  };

  Communicator* group(const LogitsPart& part) { return part.begins.empty() ? nullptr : &world_; }
  int32_t firstId(const LogitsPart& part) {
    return part.begins.empty() ? 0 : static_cast<int32_t>(part.begins[world_.rank()]);
  }

  // Which of its own columns' tokens each sequence has. A sequence that is not in the step is
  // younger than all that are, so what is older has ended.
  void remember(const StepData& step, const LogitsPart& part) {
    const int32_t begin = firstId(part), end = begin + static_cast<int32_t>(part.columns);
    int32_t oldest = INT32_MAX;
    for (size_t b = 0; b < step.requests.size(); ++b) {
      oldest = std::min(oldest, step.requests[b]);
      std::unordered_set<int32_t>& seen = seen_[step.requests[b]];
      for (int32_t t = step.starts[b]; t < step.starts[b + 1]; ++t) {
        if (step.tokens[t] >= begin && step.tokens[t] < end) seen.insert(step.tokens[t] - begin);
      }
    }
    seen_.erase(seen_.begin(), seen_.lower_bound(oldest));
  }

  // The sampled rows with the penalty, one after the other.
  LogitsPart penalized(const LogitsPart& logits, const StepData& step) {
    const auto columns = static_cast<size_t>(logits.columns);
    copies_.resize(rows_.size() * columns);
    const auto penalty = static_cast<float>(options_.repetition_penalty);
    for (size_t i = 0; i < rows_.size(); ++i) {
      float* row = copies_.data() + i * columns;
      std::copy_n(logits.data + rows_[i] * logits.row_stride, columns, row);
      for (const int32_t c : seen_[step.requests[rows_[i]]]) {
        row[c] = row[c] < 0 ? row[c] * penalty : row[c] / penalty;
      }
      rows_[i] = static_cast<int32_t>(i);
    }
    LogitsPart part = logits;
    part.data = copies_.data();
    part.largest = {};
    part.rows = static_cast<int64_t>(rows_.size());
    part.row_stride = logits.columns;
    return part;
  }

  // What every rank has of each row, in rank order; the row's own where it is whole.
  template <class T>
  Status exchange(const LogitsPart& part, std::vector<T>& own, std::vector<T>& all) {
    all = own;
    if (group(part) == nullptr || world_.size() == 1) return Status::success();
    all.resize(own.size() * world_.size());
    const std::vector<size_t> bytes(world_.size(), own.size() * sizeof(T));
    return world_.allGather(own.data(), all.data(), bytes);
  }

  Status draw(const LogitsPart& part, const StepData& step, std::span<int32_t> tokens) {
    const size_t n = rows_.size();
    const auto columns = static_cast<size_t>(part.columns);
    std::vector<float> largest(n), largests;
    for (size_t i = 0; i < n; ++i) {
      const Argmax own = argmax({part.data + rows_[i] * part.row_stride, columns});
      // NaN travels to all ranks, so that all fail alike.
      largest[i] = own.nan ? std::numeric_limits<float>::quiet_NaN() : own.value;
    }
    DCC_RETURN_IF_ERROR(exchange(part, largest, largests));
    std::vector<Arrival> first(n), firsts;
    for (size_t i = 0; i < n; ++i) {
      float top = largests[i];
      for (size_t r = i; r < largests.size(); r += n) {
        if (std::isnan(largests[r])) {
          return runtimeError("logits: row " + std::to_string(step.sampled[i]) +
                              " holds NaN, not a number; the checkpoint may be damaged");
        }
        top = std::max(top, largests[r]);
      }
      weigh({part.data + rows_[i] * part.row_stride, columns}, top);
      DCC_ASSIGN(const float least, threshold(part));
      const int32_t row = step.sampled[i];
      const int32_t position = step.positions[step.starts[row + 1] - 1] + 1;
      const uint64_t key = keyOf(options_.seed, step.requests[row], position);
      first[i] = race(key, firstId(part), least);
    }
    DCC_RETURN_IF_ERROR(exchange(part, first, firsts));
    for (size_t i = 0; i < n; ++i) {
      Arrival best;
      for (size_t r = i; r < firsts.size(); r += n) best = std::min(best, firsts[r]);
      tokens[i] = best.id;
    }
    return Status::success();
  }

  // weights_ = exp((logits - top) / temperature): 1 for the most likely token.
  void weigh(std::span<const float> logits, float top) {
    const auto scale = static_cast<float>(1 / options_.temperature);
    weights_.resize(logits.size());
    for (size_t c = 0; c < logits.size(); ++c) {
      weights_[c] = logits[c] == top ? 1.0f : std::exp((logits[c] - top) * scale);
    }
  }

  // Tokens of a smaller weight are out.
  Result<float> threshold(const LogitsPart& part) {
    Cutoff cutoff(group(part));
    float least = std::numeric_limits<float>::denorm_min();  // a weight of 0 never arrives
    if (options_.top_k > 0) {
      DCC_ASSIGN(const float t, cutoff.byCount(weights_, options_.top_k));
      least = std::max(least, t);
    }
    if (options_.top_p < 1) {
      DCC_ASSIGN(least, cutoff.byMass(weights_, options_.top_p, least));
    }
    return std::max(least, static_cast<float>(options_.min_p));
  }

  Arrival race(uint64_t key, int32_t first_id, float least) const {
    Arrival best;
    for (size_t c = 0; c < weights_.size(); ++c) {
      const float weight = weights_[c];
      if (weight < least) continue;
      const int32_t id = first_id + static_cast<int32_t>(c);
      const double u = uniformOf(key, id);
      // -log(u) >= 1 - u, so most need no logarithm to lose.
      if (1 - u > best.time * weight) continue;
      best = std::min(best, Arrival{-std::log(u) / weight, id});
    }
    return best;
  }

  SamplingOptions options_;
  Communicator& world_;
  std::unique_ptr<Sampler> greedy_;
  std::map<int32_t, std::unordered_set<int32_t>> seen_;  // by request; own columns
  std::vector<int32_t> rows_;
  std::vector<float> copies_, weights_;
};

}  // namespace

std::unique_ptr<Sampler> makeSampler(const SamplingOptions& options, Communicator& world) {
  return std::make_unique<Sampling>(options, world);
}

}  // namespace dcc::generate
