#include "runtime/plan/size_analysis.h"

#include <algorithm>

#include "runtime/base/checked.h"
#include "runtime/base/printable.h"
#include "runtime/plan/access.h"

namespace dcc::plan {
namespace {

using fb::SizeOp;

// Longer sums become atoms themselves, so that a hostile pool cannot grow them without end.
constexpr size_t kMaxTerms = 16;

bool isOperation(SizeOp op) { return op != SizeOp::constant && op != SizeOp::variable; }

std::optional<SizeRange> productRange(SizeRange a, SizeRange b) {
  std::optional<int64_t> corners[] = {checkedMul(a.least, b.least), checkedMul(a.least, b.most),
                                      checkedMul(a.most, b.least), checkedMul(a.most, b.most)};
  SizeRange range{INT64_MAX, INT64_MIN};
  for (const auto& corner : corners) {
    if (!corner) return std::nullopt;
    range = {std::min(range.least, *corner), std::max(range.most, *corner)};
  }
  return range;
}

std::optional<SizeRange> sumRange(SizeRange a, SizeRange b) {
  std::optional<int64_t> least = checkedAdd(a.least, b.least), most = checkedAdd(a.most, b.most);
  if (!least || !most) return std::nullopt;
  return SizeRange{*least, *most};
}

std::optional<SizeRange> operationRange(SizeOp op, SizeRange a, SizeRange b) {
  switch (op) {
    case SizeOp::add:
      return sumRange(a, b);
    case SizeOp::mul:
      return productRange(a, b);
    case SizeOp::ceil_div:
      if (a.least < 0 || b.least < 1) return std::nullopt;
      return SizeRange{ceilDiv(a.least, b.most), ceilDiv(a.most, b.least)};
    case SizeOp::min:
      return SizeRange{std::min(a.least, b.least), std::min(a.most, b.most)};
    case SizeOp::max:
      return SizeRange{std::max(a.least, b.least), std::max(a.most, b.most)};
    default:
      return std::nullopt;
  }
}

std::optional<SizeForm> scaled(const SizeForm& a, int64_t factor) {
  SizeForm out;
  std::optional<int64_t> constant = checkedMul(a.constant, factor);
  if (!constant) return std::nullopt;
  out.constant = *constant;
  for (const auto& [atom, coefficient] : a.terms) {
    std::optional<int64_t> product = checkedMul(coefficient, factor);
    if (!product) return std::nullopt;
    if (*product != 0) out.terms[atom] = *product;
  }
  return out;
}

}  // namespace

Result<SizeAnalysis> SizeAnalysis::of(const fb::Plan& plan, const std::string& name,
                                      std::shared_ptr<SizeAtoms> atoms) {
  SizeAnalysis analysis(plan, std::move(atoms));
  uint32_t i = 0;
  for (const fb::SizeNode* node : rows(plan.sizes())) {
    auto fail = [&](std::string_view what) {
      return userError(name + ": sizes[" + std::to_string(i) + "]: " + std::string(what));
    };
    if (node->op() == SizeOp::variable && node->a() >= rows(plan.variables()).size()) {
      return fail("names a variable that the plan doesn't have");
    }
    if (isOperation(node->op()) && (node->a() >= i || node->b() >= i)) {
      return fail("has an operand that does not come before it");
    }
    if ((node->op() == SizeOp::constant && node->a() != 0) ||
        (!isOperation(node->op()) && node->b() != 0) ||
        (node->op() != SizeOp::constant && node->value() != 0)) {
      return fail("has a value in a field that its operation doesn't use");
    }
    std::optional<SizeForm> form = analysis.normalForm(*node);
    if (!form) return fail("overflows");
    analysis.forms_.push_back(std::move(*form));
    ++i;
  }
  return analysis;
}

std::optional<SizeForm> sumOf(const SizeForm& a, const SizeForm& b) {
  SizeForm out = a;
  std::optional<int64_t> constant = checkedAdd(a.constant, b.constant);
  if (!constant) return std::nullopt;
  out.constant = *constant;
  for (const auto& [atom, coefficient] : b.terms) {
    std::optional<int64_t> added = checkedAdd(out.terms[atom], coefficient);
    if (!added) return std::nullopt;
    out.terms[atom] = *added;
    if (*added == 0) out.terms.erase(atom);
  }
  return out;
}

uint32_t SizeAtoms::number(SizeOp op, SizeForm a, SizeForm b) {
  uint32_t next = static_cast<uint32_t>(numbers_.size());
  return numbers_.try_emplace({op, std::move(a), std::move(b)}, next).first->second;
}

std::optional<uint32_t> SizeAtoms::known(SizeOp op, const SizeForm& a, const SizeForm& b) const {
  auto found = numbers_.find({op, a, b});
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

SizeForm SizeAnalysis::atom(SizeOp op, SizeForm a, SizeForm b) {
  // All our operations but division commute.
  if (op != SizeOp::ceil_div && b < a) std::swap(a, b);
  SizeForm form;
  form.terms[atoms_->number(op, std::move(a), std::move(b))] = 1;
  return form;
}

std::optional<SizeForm> SizeAnalysis::normalForm(const fb::SizeNode& node) {
  if (node.op() == SizeOp::constant) return SizeForm{node.value(), {}};
  if (node.op() == SizeOp::variable) {
    return atom(SizeOp::variable, SizeForm{node.a(), {}}, SizeForm{node.a(), {}});
  }
  const SizeForm& a = forms_[node.a()];
  const SizeForm& b = forms_[node.b()];
  if (node.op() == SizeOp::add && a.terms.size() + b.terms.size() <= kMaxTerms) return sumOf(a, b);
  if (node.op() == SizeOp::mul && a.terms.empty()) return scaled(b, a.constant);
  if (node.op() == SizeOp::mul && b.terms.empty()) return scaled(a, b.constant);
  if (a.terms.empty() && b.terms.empty()) {
    SizeRange x{a.constant, a.constant}, y{b.constant, b.constant};
    std::optional<SizeRange> value = operationRange(node.op(), x, y);
    if (!value) return std::nullopt;
    return SizeForm{value->least, {}};
  }
  return atom(node.op(), a, b);
}

bool SizeAnalysis::isPart(uint32_t node, uint32_t whole, int64_t i, int64_t n) const {
  SizeForm rest = forms_[whole], zero;
  std::optional<int64_t> left = checkedAdd(rest.constant, -i);
  if (!left) return false;
  rest.constant = *left;
  if (rest.terms.empty()) return constant(node) == ceilDiv(std::max<int64_t>(*left, 0), n);
  std::optional<uint32_t> at_least_0 =
      rest < zero ? atoms_->known(SizeOp::max, rest, zero) : atoms_->known(SizeOp::max, zero, rest);
  if (!at_least_0) return false;
  std::optional<uint32_t> part =
      atoms_->known(SizeOp::ceil_div, SizeForm{0, {{*at_least_0, 1}}}, SizeForm{n, {}});
  return part && forms_[node] == SizeForm{0, {{*part, 1}}};
}

bool SizeAnalysis::isVariable(uint32_t node, uint32_t variable) const {
  std::optional<uint32_t> known =
      atoms_->known(SizeOp::variable, SizeForm{variable, {}}, SizeForm{variable, {}});
  return known && forms_[node] == SizeForm{0, {{*known, 1}}};
}

std::optional<int64_t> SizeAnalysis::constant(uint32_t node) const {
  if (!forms_[node].terms.empty()) return std::nullopt;
  return forms_[node].constant;
}

Result<std::vector<SizeRange>> SizeAnalysis::ranges(std::span<const int64_t> bounds,
                                                    const std::string& where) const {
  std::vector<SizeRange> out;
  out.reserve(size());
  for (const fb::SizeNode* node : rows(plan_->sizes())) {
    std::optional<SizeRange> range;
    if (node->op() == SizeOp::constant) {
      range = SizeRange{node->value(), node->value()};
    } else if (node->op() == SizeOp::variable) {
      range = SizeRange{1, bounds[node->a()]};
    } else {
      range = operationRange(node->op(), out[node->a()], out[node->b()]);
    }
    if (!range) {
      uint32_t i = static_cast<uint32_t>(out.size());
      return userError(where + ": sizes[" + std::to_string(i) + "] = " + text(i) +
                       " overflows or divides by what may be below 1 at the entry's bounds");
    }
    out.push_back(*range);
  }
  return out;
}

std::string SizeAnalysis::text(uint32_t node, int depth) const {
  const fb::SizeNode& n = *plan_->sizes()->Get(node);
  if (n.op() == SizeOp::constant) return std::to_string(n.value());
  if (n.op() == SizeOp::variable) {
    return printable(dcc::plan::text(plan_->variables()->Get(n.a())));
  }
  if (depth == 0) return "sizes[" + std::to_string(node) + "]";
  std::string a = text(n.a(), depth - 1), b = text(n.b(), depth - 1);
  switch (n.op()) {
    case SizeOp::add:
      return "(" + a + " + " + b + ")";
    case SizeOp::mul:
      return a + " * " + b;
    default:
      return std::string(fb::EnumNameSizeOp(n.op())) + "(" + a + ", " + b + ")";
  }
}

}  // namespace dcc::plan
