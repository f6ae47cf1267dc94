// The example plan's model in double precision, straight from its checkpoint: what every rank's
// plan together must compute.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace dcc::cpu::testing {

class ExampleModel {
 public:
  ExampleModel();

  // Logits of every position of a sequence: [tokens.size()][kVocab].
  std::vector<std::vector<double>> logits(std::span<const int32_t> tokens) const;

 private:
  using Vector = std::vector<double>;
  Vector multiply(const std::string& tensor, const Vector& x) const;
  Vector norm(const std::string& tensor, const Vector& x) const;
  // Rotates each head of q or k.
  void rotate(Vector& x, int64_t position) const;
  // Attention's result, before o_proj, at the last of `keys`.
  Vector attend(const Vector& q, const std::vector<Vector>& keys,
                const std::vector<Vector>& values) const;

  std::map<std::string, Vector> tensors_;
};

}  // namespace dcc::cpu::testing
