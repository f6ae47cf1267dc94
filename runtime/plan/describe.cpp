#include "runtime/plan/describe.h"

#include <charconv>

#include "runtime/base/printable.h"
#include "runtime/plan/access.h"
#include "runtime/plan/kernels.h"

namespace dcc::plan {
namespace {

using fb::CollectiveKind;

constexpr uint32_t kMostCounts = 8;

std::string countsText(const SizeAnalysis& sizes, const fb::Collective& collective) {
  std::string text = collective.dimension() == 0 ? ", rows " : ", columns ";
  Rows counts = rows(collective.counts());
  for (uint32_t i = 0; i < counts.size(); ++i) {
    if (i > 0) text += " + ";
    if (i == kMostCounts) return text + "...";
    text += sizes.text(counts[i]);
  }
  return text;
}

std::string expertsText(const fb::Collective& collective) {
  std::string text = ", for experts ";
  Rows experts = rows(collective.experts());
  for (uint32_t i = 0; i + 1 < experts.size(); i += 2) {
    if (i > 0) text += " + ";
    if (i == 2 * kMostCounts) return text + "...";
    text += std::to_string(experts[i]) + "-" + std::to_string(experts[i + 1]);
  }
  return text;
}

}  // namespace

std::string placeText(const fb::Plan& plan, uint32_t entry, uint32_t instruction) {
  const auto entries = rows(plan.entries());
  if (entry >= entries.size()) return "entry " + std::to_string(entry);
  std::string where = "entry '" + std::string(text(entries[entry]->name())) + "'";
  const auto instructions = rows(entries[entry]->instructions());
  if (instruction >= instructions.size()) return where;
  where += ", instruction " + std::to_string(instruction);
  const std::string_view module = text(instructions[instruction]->module_());
  return module.empty() ? where : where + " (" + std::string(module) + ")";
}

std::string_view opName(const fb::Instruction& instruction) {
  if (instruction.body_as_Gemm()) return "gemm";
  if (const auto* kernel = instruction.body_as_Kernel()) {
    return fb::EnumNameKernelKind(kernel->kind());
  }
  if (const auto* collective = instruction.body_as_Collective()) {
    return fb::EnumNameCollectiveKind(collective->kind());
  }
  return "none";
}

const fb::Buffer* sharedBuffer(const fb::Entry& entry, const fb::Collective& collective) {
  bool input = collective.kind() == CollectiveKind::reduce_scatter ||
               collective.kind() == CollectiveKind::send;
  uint32_t index = input ? collective.input() : collective.output();
  return index < rows(entry.buffers()).size() ? entry.buffers()->Get(index) : nullptr;
}

std::string attrText(const fb::Attr& attr) {
  // An attribute uses one of its two fields.
  std::string value = std::to_string(attr.i());
  if (attr.f() != 0) {
    char shortest[32];
    value = std::string(shortest, std::to_chars(shortest, std::end(shortest), attr.f()).ptr);
  }
  return std::string(attrName(attr.key())) + " " + value;
}

std::string describe(const SizeAnalysis& sizes, const fb::Entry& entry,
                     const fb::Instruction& instruction) {
  std::string words =
      std::string(opName(instruction)) + " of " + printable(text(instruction.module_()));
  if (const fb::Kernel* kernel = instruction.body_as_Kernel()) {
    for (const fb::Attr* attr : rows(kernel->attrs())) words += ", " + attrText(*attr);
  }
  const fb::Collective* collective = instruction.body_as_Collective();
  if (!collective) return words;
  if (const fb::Buffer* shared = sharedBuffer(entry, *collective)) {
    words += std::string(", ") + fb::EnumNameDType(shared->dtype()) + " [" +
             sizes.text(shared->rows()) + ", " + std::to_string(shared->cols()) + "]";
  }
  if (!rows(collective->counts()).empty()) words += countsText(sizes, *collective);
  if (collective->gates() >= 0) words += expertsText(*collective);
  return words;
}

}  // namespace dcc::plan
