#include "tools/drun/labels.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "runtime/base/json.h"
#include "runtime/base/printable.h"

namespace dcc::drun {

Result<Labels> Labels::read(const std::string& dir, size_t count) {
  Labels labels;
  if (count == 1) labels.function_ = Function::kSigmoid;
  for (size_t i = 0; i < count; ++i) labels.names_.push_back("LABEL_" + std::to_string(i));
  const std::string path = dir + "/config.json";
  if (::access(path.c_str(), F_OK) != 0) return labels;
  DCC_ASSIGN(const nlohmann::json json, readJson(path, {.bytes = uint64_t{16} << 20}));
  DCC_ASSIGN(const JsonFields config, JsonFields::of(json, path));
  DCC_ASSIGN(const std::string problem, config.stringOr("problem_type", ""));
  if (problem == "multi_label_classification") labels.function_ = Function::kSigmoid;
  if (problem == "regression") labels.function_ = Function::kNone;
  if (!config.has("id2label")) return labels;
  DCC_ASSIGN(const JsonFields names, config.object("id2label"));
  if (names.value().size() != count) {
    return config.error("id2label", "has " + std::to_string(names.value().size()) +
                                        " names; the model has " + std::to_string(count));
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < count; ++i) {
    DCC_ASSIGN(labels.names_[i], names.string(std::to_string(i)));
    if (seen.insert(labels.names_[i]).second) continue;
    return names.error(std::to_string(i),
                       "'" + printable(labels.names_[i]) + "' is another label's name too");
  }
  return labels;
}

std::vector<double> Labels::scores(std::span<const float> logits) const {
  std::vector<double> scores(logits.begin(), logits.end());
  if (function_ == Function::kNone) return scores;
  if (function_ == Function::kSigmoid) {
    for (double& x : scores) x = 1 / (1 + std::exp(-x));
    return scores;
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (double& x : scores) sum += x = std::exp(x - largest);
  for (double& x : scores) x /= sum;
  return scores;
}

}  // namespace dcc::drun
