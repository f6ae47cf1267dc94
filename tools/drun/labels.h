// What a classifier's logits mean: the labels' names and how logits become scores, as config.json
// says it and transformers' pipeline does it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/base/status.h"

namespace dcc::drun {

class Labels {
 public:
  // Of the config.json in `dir`, for so many logits. Without id2label they are LABEL_0, ...; errors
  // (user): damaged fields, or another number of labels.
  static Result<Labels> read(const std::string& dir, size_t count);

  const std::string& name(size_t i) const { return names_[i]; }
  size_t count() const { return names_.size(); }
  // Of one row of logits: a softmax, a sigmoid of each, or the logits themselves.
  std::vector<double> scores(std::span<const float> logits) const;

 private:
  enum class Function { kSoftmax, kSigmoid, kNone };
  std::vector<std::string> names_;
  Function function_ = Function::kSoftmax;
};

}  // namespace dcc::drun
