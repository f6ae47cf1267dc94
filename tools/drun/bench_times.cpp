#include "tools/drun/bench_times.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dcc::drun {

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  const auto index = static_cast<size_t>(std::max(rank, 1.0)) - 1;
  const auto at = values.begin() + static_cast<ptrdiff_t>(std::min(index, values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

void BenchTimes::step(const generate::PromptTokens& prompts, const Mark& mark) {
  decoding_ = prompts.done == prompts_.done;
  if (decoding_) {
    decode_.push_back(mark.now - last_.now);
    decode_host_.push_back(decode_.back() - (mark.waited - last_.waited));
  } else {
    prefill_ = mark.now;
  }
  (decoding_ ? decode_traffic_ : prefill_traffic_) += mark.moved - last_.moved;
  prompts_ = prompts;
  last_ = mark;
}

void BenchTimes::token(uint32_t sequence) {
  if (first_[sequence] < 0) first_[sequence] = last_.now;
  if (decoding_) ++decode_tokens_;
}

double BenchTimes::firstTokenSeconds() const {
  return std::accumulate(first_.begin(), first_.end(), 0.0) / static_cast<double>(first_.size());
}

double BenchTimes::decodeSeconds() const {
  return std::accumulate(decode_.begin(), decode_.end(), 0.0);
}

}  // namespace dcc::drun
