#include "tests/models/mutations/sequence.h"

namespace dcc::mutations {
namespace {

namespace fb = plan::fb;

std::string expression(const fb::PlanT& plan, uint32_t index) {
  if (index >= plan.sizes.size()) return "?";
  const fb::SizeNode& node = plan.sizes[index];
  if (node.op() == fb::SizeOp::constant) return std::to_string(node.value());
  if (node.op() == fb::SizeOp::variable) return "v" + std::to_string(node.a());
  return std::string(fb::EnumNameSizeOp(node.op())) + "(" + expression(plan, node.a()) + "," +
         expression(plan, node.b()) + ")";
}

std::string shape(const fb::PlanT& plan, const fb::EntryT& entry, uint32_t index) {
  if (index >= entry.buffers.size()) return " ?";
  const fb::BufferT& buffer = *entry.buffers[index];
  return std::string(" ") + fb::EnumNameDType(buffer.dtype) + "[" + expression(plan, buffer.rows) +
         "," + std::to_string(buffer.cols) + "]";
}

}  // namespace

std::string sequenceOf(const fb::PlanT& plan) {
  std::string lines;
  for (const auto& entry : plan.entries) {
    lines += entry->name + ":\n";
    for (const auto& instruction : entry->instructions) {
      const fb::CollectiveT* c = instruction->body.AsCollective();
      if (!c) continue;
      lines += instruction->module_ + " " + std::to_string(static_cast<int>(c->kind)) + " axis " +
               std::to_string(c->axis) + " reduction " +
               std::to_string(static_cast<int>(c->reduction)) + " dimension " +
               std::to_string(c->dimension) + " peer " + std::to_string(c->peer) +
               shape(plan, *entry, c->input) + shape(plan, *entry, c->output) + " counts";
      for (uint32_t count : c->counts) lines += " " + expression(plan, count);
      lines += "\n";
    }
  }
  return lines;
}

}  // namespace dcc::mutations
