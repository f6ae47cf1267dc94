#include "runtime/plan/common_items.h"

#include <algorithm>

#include "runtime/base/printable.h"
#include "runtime/plan/access.h"
#include "runtime/plan/describe.h"

namespace dcc::plan {
namespace {

std::string dtypeOf(const fb::Entry& entry, uint32_t buffer) {
  return std::string(" into ") + fb::EnumNameDType(entry.buffers()->Get(buffer)->dtype());
}

// Without what each rank has of its own: columns, slices, places in memory.
std::string instructionText(const SizeAnalysis& sizes, const fb::Entry& entry,
                            const fb::Instruction& instruction) {
  std::string text = describe(sizes, entry, instruction);
  if (const fb::Gemm* gemm = instruction.body_as_Gemm()) text += dtypeOf(entry, gemm->out());
  if (const fb::Kernel* kernel = instruction.body_as_Kernel()) {
    const fb::Operand& last = *kernel->operands()->Get(rows(kernel->operands()).size() - 1);
    if (last.kind() == fb::OperandKind::buffer) text += dtypeOf(entry, last.index());
  }
  return text;
}

std::string outputText(const fb::Output& output) {
  std::string cut = output.axis() < 0 ? ", whole" : ", cut";
  for (uint32_t i = 0; i < rows(output.begins()).size(); ++i) {
    cut +=
        " " + std::to_string(output.begins()->Get(i)) + "-" + std::to_string(output.ends()->Get(i));
  }
  return "output " + printable(text(output.name())) + " of " + std::to_string(output.columns()) +
         " columns" + cut;
}

std::string fileText(const fb::File& file) {
  std::string contents = file.header_hash() ? "header " + hashOf(*file.header_hash()).hex() : "";
  if (const fb::Random* random = file.random()) {
    contents = "random by seed " + std::to_string(random->seed());
  }
  return "file " + printable(text(file.path())) + " of " + std::to_string(file.bytes()) +
         " bytes, " + contents;
}

}  // namespace

std::vector<std::string> commonItems(const fb::Plan& plan) {
  std::vector<std::string> items;
  Result<SizeAnalysis> sizes = SizeAnalysis::of(plan, "plan");
  if (!sizes.ok()) return items;  // not verified, against the contract
  for (const fb::Entry* entry : rows(plan.entries())) {
    const std::string where = "entry " + printable(text(entry->name())) + ": ";
    for (uint32_t i = 0; i < rows(entry->instructions()).size(); ++i) {
      items.push_back(where + "instruction " + std::to_string(i) + " (" +
                      instructionText(*sizes, *entry, *entry->instructions()->Get(i)) + ")");
    }
    for (const fb::Output* output : rows(entry->outputs())) {
      items.push_back(where + outputText(*output));
    }
  }
  for (const fb::Axis* axis : rows(plan.mesh())) {
    items.push_back("mesh axis " + printable(text(axis->name())) + " of " +
                    std::to_string(axis->size()) + " ranks");
  }
  for (const auto& [name, value] :
       {std::pair<const char*, uint64_t>{"max_tokens", plan.max_tokens()},
        {"max_seqs", plan.max_seqs()},
        {"max_seq_len", plan.max_seq_len()},
        {"vocab_size", plan.vocab_size()}}) {
    items.push_back(std::string(name) + " " + std::to_string(value));
  }
  for (const fb::PageGroup* group : rows(plan.page_groups())) {
    items.push_back("page group " + printable(text(group->name())) + " of " +
                    std::to_string(group->pages()) + " pages of " +
                    std::to_string(group->tokens_per_page()) + " tokens, window " +
                    std::to_string(group->window()));
  }
  for (const fb::File* file : rows(plan.files())) items.push_back(fileText(*file));
  return items;
}

std::string differenceText(const std::string& own, const std::string& who,
                           const std::string& theirs) {
  auto shown = [](const std::string& item) { return item.empty() ? std::string("nothing") : item; };
  return shown(own) + " stands where " + who + " has " + shown(theirs);
}

std::string firstDifference(const fb::Plan& own, const std::string& who, const fb::Plan& theirs) {
  std::vector<std::string> a = commonItems(own), b = commonItems(theirs);
  size_t common = std::min(a.size(), b.size());
  size_t i = std::mismatch(a.begin(), a.begin() + common, b.begin()).first - a.begin();
  if (i == a.size() && i == b.size()) return "";
  return differenceText(i < a.size() ? a[i] : "", who, i < b.size() ? b[i] : "");
}

}  // namespace dcc::plan
