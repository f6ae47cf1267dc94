// What can be said of size expressions before any step runs: their range at an entry's bounds, and
// whether two of them are equal for every step.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plan_generated.h"
#include "runtime/base/status.h"

namespace dcc::plan {

struct SizeRange {
  int64_t least = 0, most = 0;  // inclusive
};

class SizeAnalysis {
 public:
  // Checks the pool: operands come before their node, unused fields are 0, sums and products of
  // constants don't overflow. `name` begins errors.
  static Result<SizeAnalysis> of(const fb::Plan& plan, const std::string& name);

  uint32_t size() const { return static_cast<uint32_t>(forms_.size()); }

  // Equal for all values of the variables. False may also mean that we cannot tell.
  bool equal(uint32_t a, uint32_t b) const { return forms_[a] == forms_[b]; }
  // The sum of `parts` equals `whole` for all values of the variables.
  bool sumEquals(std::span<const uint32_t> parts, uint32_t whole) const;
  bool isVariable(uint32_t node, uint32_t variable) const;
  // Its value if that does not depend on the variables.
  std::optional<int64_t> constant(uint32_t node) const;

  // Ranges of all nodes when variable i is in [1, bounds[i]]. Errors: a value that may overflow,
  // a division of what may be negative or by what may be below 1.
  Result<std::vector<SizeRange>> ranges(std::span<const int64_t> bounds,
                                        const std::string& where) const;

  // "ceil_div(T, 4) * 4", for messages; parts of a deep expression as "sizes[5]".
  std::string text(uint32_t node) const { return text(node, 4); }

 private:
  // A sum: constant + coefficient * atom + ... An atom is a variable or another operation whose
  // operands are in normal form, numbered in order of appearance.
  struct Form {
    int64_t constant = 0;
    std::map<uint32_t, int64_t> terms;  // atom -> coefficient, none 0
    bool operator==(const Form&) const = default;
    bool operator<(const Form& other) const {
      return std::tie(constant, terms) < std::tie(other.constant, other.terms);
    }
  };
  struct AtomKey {
    fb::SizeOp op;
    Form a, b;
    bool operator<(const AtomKey& other) const {
      return std::tie(op, a, b) < std::tie(other.op, other.a, other.b);
    }
  };

  explicit SizeAnalysis(const fb::Plan& plan) : plan_(&plan) {}
  std::optional<Form> normalForm(const fb::SizeNode& node);
  Form atom(fb::SizeOp op, Form a, Form b);
  static std::optional<Form> sum(const Form& a, const Form& b);
  static std::optional<Form> scaled(const Form& a, int64_t factor);
  std::string text(uint32_t node, int depth) const;

  const fb::Plan* plan_;
  std::vector<Form> forms_;  // one per node
  std::map<AtomKey, uint32_t> atoms_;
};

}  // namespace dcc::plan
