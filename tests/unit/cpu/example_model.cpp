#include "example_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/backends/cpu/convert.h"
#include "runtime/base/safetensors.h"
#include "tests/unit/plan/example_plan.h"

namespace dcc::cpu::testing {

using namespace plan::testing;

ExampleModel::ExampleModel() {
  const std::string file = exampleCheckpoint();
  const auto header = parseSafetensorsHeader(
      {reinterpret_cast<const uint8_t*>(file.data()), file.size()}, file.size(), "example");
  for (const SafetensorsTensor& tensor : header.value().tensors) {
    const DType type = parseDType(tensor.dtype).value();
    std::vector<float> values(tensor.bytes / byteSize(type));
    toF32(type, file.data() + tensor.offset, values.data(), static_cast<int64_t>(values.size()));
    tensors_[tensor.name] = Vector(values.begin(), values.end());
  }
}

ExampleModel::Vector ExampleModel::multiply(const std::string& tensor, const Vector& x) const {
  const Vector& w = tensors_.at(tensor);
  Vector out(w.size() / x.size());
  for (size_t n = 0; n < out.size(); ++n) {
    for (size_t k = 0; k < x.size(); ++k) out[n] += w[n * x.size() + k] * x[k];
  }
  return out;
}

ExampleModel::Vector ExampleModel::norm(const std::string& tensor, const Vector& x) const {
  const Vector& w = tensors_.at(tensor);
  double squares = 0;
  for (double v : x) squares += v * v;
  const double factor = 1 / std::sqrt(squares / static_cast<double>(x.size()) + kEps);
  Vector out;
  for (size_t i = 0; i < x.size(); ++i) out.push_back(x[i] * factor * w[i]);
  return out;
}

void ExampleModel::rotate(Vector& x, int64_t position) const {
  const size_t half = kHeadDim / 2;
  for (size_t head = 0; head < x.size(); head += kHeadDim) {
    for (size_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(position) *
                           std::pow(kTheta, -2.0 * static_cast<double>(i) / kHeadDim);
      const double a = x[head + i], b = x[head + half + i];
      x[head + i] = a * std::cos(angle) - b * std::sin(angle);
      x[head + half + i] = b * std::cos(angle) + a * std::sin(angle);
    }
  }
}

ExampleModel::Vector ExampleModel::attend(const Vector& q, const std::vector<Vector>& keys,
                                          const std::vector<Vector>& values) const {
  Vector out(q.size());
  for (size_t h = 0; h < kHeads; ++h) {
    const size_t from = h * kHeadDim, kv = h / (kHeads / kKvHeads) * kHeadDim;
    Vector weights;
    double sum = 0;
    for (const Vector& k : keys) {
      double score = 0;
      for (size_t i = 0; i < kHeadDim; ++i) score += q[from + i] * k[kv + i];
      weights.push_back(std::exp(score / std::sqrt(double{kHeadDim})));
      sum += weights.back();
    }
    for (size_t j = 0; j < values.size(); ++j) {
      for (size_t i = 0; i < kHeadDim; ++i) out[from + i] += weights[j] / sum * values[j][kv + i];
    }
  }
  return out;
}

std::vector<std::vector<double>> ExampleModel::logits(std::span<const int32_t> tokens) const {
  const std::string layer = "model.layers.0.", attn = layer + "self_attn.", mlp = layer + "mlp.";
  std::vector<Vector> result, keys, values;
  for (size_t t = 0; t < tokens.size(); ++t) {
    const Vector& embedding = tensors_.at("model.embed_tokens.weight");
    Vector x(embedding.begin() + tokens[t] * kHidden,
             embedding.begin() + (tokens[t] + 1) * kHidden);
    const auto addTo = [&](const Vector& y) {
      for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
    };
    const Vector normed = norm(layer + "input_layernorm.weight", x);
    Vector q = multiply(attn + "q_proj.weight", normed);
    keys.push_back(multiply(attn + "k_proj.weight", normed));
    values.push_back(multiply(attn + "v_proj.weight", normed));
    rotate(q, static_cast<int64_t>(t));
    rotate(keys.back(), static_cast<int64_t>(t));
    addTo(multiply(attn + "o_proj.weight", attend(q, keys, values)));
    const Vector inner = norm(layer + "post_attention_layernorm.weight", x);
    Vector gate = multiply(mlp + "gate_proj.weight", inner);
    const Vector up = multiply(mlp + "up_proj.weight", inner);
    for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
    addTo(multiply(mlp + "down_proj.weight", gate));
    result.push_back(multiply("lm_head.weight", norm("model.norm.weight", x)));
  }
  return result;
}

}  // namespace dcc::cpu::testing
