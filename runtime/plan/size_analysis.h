// What can be said of size expressions before any step runs: their range at an entry's bounds, and
// whether two of them are equal for every step.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "plan_generated.h"
#include "runtime/base/status.h"

namespace dcc::plan {

struct SizeRange {
  int64_t least = 0, most = 0;  // inclusive
};

// A sum: constant + coefficient * atom + ... An atom is a variable or another operation whose
// operands are in normal form.
struct SizeForm {
  int64_t constant = 0;
  std::map<uint32_t, int64_t> terms;  // atom -> coefficient, none 0
  bool operator==(const SizeForm&) const = default;
  bool operator<(const SizeForm& other) const {
    return std::tie(constant, terms) < std::tie(other.constant, other.terms);
  }
};

// The atoms of one plan, or of several that are compared, numbered in order of appearance.
class SizeAtoms {
 public:
  uint32_t number(fb::SizeOp op, SizeForm a, SizeForm b);
  std::optional<uint32_t> known(fb::SizeOp op, const SizeForm& a, const SizeForm& b) const;

 private:
  std::map<std::tuple<fb::SizeOp, SizeForm, SizeForm>, uint32_t> numbers_;
};

class SizeAnalysis {
 public:
  // Checks the pool: operands come before their node, unused fields are 0, sums and products of
  // constants don't overflow. `name` begins errors. Expressions of several plans can be compared
  // when the plans are analysed with the same `atoms`.
  static Result<SizeAnalysis> of(const fb::Plan& plan, const std::string& name,
                                 std::shared_ptr<SizeAtoms> atoms = std::make_shared<SizeAtoms>());

  uint32_t size() const { return static_cast<uint32_t>(forms_.size()); }

  // Equal for all values of the variables. False may also mean that we cannot tell; SizeProof
  // (size_proof.h) tries harder.
  bool equal(uint32_t a, uint32_t b) const { return forms_[a] == forms_[b]; }
  const SizeForm& form(uint32_t node) const { return forms_[node]; }
  // It is how much part `i` of `n` has of `whole` where that is cut as evenly as it goes:
  // ceil_div(max(whole - i, 0), n).
  bool isPart(uint32_t node, uint32_t whole, int64_t i, int64_t n) const;
  bool isVariable(uint32_t node, uint32_t variable) const;
  // Its value if that does not depend on the variables.
  std::optional<int64_t> constant(uint32_t node) const;

  // Ranges of all nodes when variable i is in [1, bounds[i]]. Errors: a value that may overflow,
  // a division of what may be negative or by what may be below 1.
  Result<std::vector<SizeRange>> ranges(std::span<const int64_t> bounds,
                                        const std::string& where) const;

  // The expressions themselves: node i of the pool.
  const fb::SizeNode& node(uint32_t i) const { return *plan_->sizes()->Get(i); }

  // "ceil_div(T, 4) * 4", for messages; parts of a deep expression as "sizes[5]".
  std::string text(uint32_t node) const { return text(node, 4); }

 private:
  SizeAnalysis(const fb::Plan& plan, std::shared_ptr<SizeAtoms> atoms)
      : plan_(&plan), atoms_(std::move(atoms)) {}
  std::optional<SizeForm> normalForm(const fb::SizeNode& node);
  SizeForm atom(fb::SizeOp op, SizeForm a, SizeForm b);
  std::string text(uint32_t node, int depth) const;

  const fb::Plan* plan_;
  std::shared_ptr<SizeAtoms> atoms_;
  std::vector<SizeForm> forms_;  // one per node
};

// a + b; nothing on overflow.
std::optional<SizeForm> sumOf(const SizeForm& a, const SizeForm& b);

}  // namespace dcc::plan
