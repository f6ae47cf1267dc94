#include <algorithm>
#include <set>

#include "runtime/base/printable.h"
#include "runtime/plan/describe.h"
#include "runtime/plan/mesh.h"
#include "runtime/plan/verify_internal.h"

namespace dcc::plan {
namespace {

// Positions, token ids and page numbers are 32-bit in a step.
constexpr uint64_t kMaxIndex = INT32_MAX;

Status verifyEntries(const fb::Plan& plan, const SizeAnalysis& sizes, const std::string& name) {
  if (rows(plan.entries()).empty()) return userError(name + ": has no entries");
  if (rows(plan.entries()).size() > kMaxEntries) {
    return userError(name + ": has more than " + std::to_string(kMaxEntries) + " entries");
  }
  std::set<std::string_view> names;
  int64_t most_tokens = 0, most_seqs = 0;
  bool takes_types = false;
  for (const fb::Entry* entry : rows(plan.entries())) {
    std::string where = name + ": entry " + printable(text(entry->name()));
    if (text(entry->name()).empty() || !names.insert(text(entry->name())).second) {
      return userError(where + ": its name must be unique and not empty");
    }
    std::vector<int64_t> bounds(rows(entry->bounds()).begin(), rows(entry->bounds()).end());
    if (bounds.size() != kVariables) {
      return userError(where + ": must have one bound for each of T and B");
    }
    if (bounds[kT] < 1 || bounds[kT] > plan.max_tokens() || bounds[kB] < 1 ||
        bounds[kB] > plan.max_seqs()) {
      return userError(where + ": its bounds T <= " + std::to_string(bounds[kT]) +
                       ", B <= " + std::to_string(bounds[kB]) +
                       " must be from 1 to the plan's max_tokens and max_seqs");
    }
    for (const fb::Buffer* buffer : rows(entry->buffers())) {
      takes_types |= buffer->storage() == fb::Storage::types;
    }
    most_tokens = std::max(most_tokens, bounds[kT]);
    most_seqs = std::max(most_seqs, bounds[kB]);
    DCC_ASSIGN(std::vector<SizeRange> ranges, sizes.ranges(bounds, where));
    SizeProof proof(bounds);
    EntryContext context{plan, *entry, sizes, proof, std::move(ranges), std::move(where)};
    DCC_RETURN_IF_ERROR(verifyBuffers(context));
    DCC_RETURN_IF_ERROR(verifyInstructions(context));
    DCC_RETURN_IF_ERROR(verifyOutputs(context));
    DCC_RETURN_IF_ERROR(verifyDataflow(context));
  }
  if (most_tokens != plan.max_tokens() || most_seqs != plan.max_seqs()) {
    return userError(name + ": max_tokens and max_seqs must be the largest bounds of its entries");
  }
  if (takes_types != (plan.token_types() != 0) || plan.token_types() > kMaxIndex) {
    return userError(name + ": token_types must be above 0, up to " + std::to_string(kMaxIndex) +
                     ", where an entry takes them and else 0");
  }
  return Status::success();
}

Status verifyProgramHash(const fb::Plan& plan, const std::string& name) {
  if (!plan.program_hash() || !plan.compilation_id()) {
    return userError(name + ": has no hashes; compile the model again");
  }
  Hash program = programHash(plan);
  if (program != hashOf(*plan.program_hash())) {
    return userError(name + ": is damaged: its program hashes to " + program.hex() +
                     ", not to the " + hashOf(*plan.program_hash()).hex() + " that it states");
  }
  return Status::success();
}

// After everything else, because it follows indices of the plan.
Status verifyCollectiveHashes(const fb::Plan& plan, const std::string& name) {
  uint32_t axes = rows(plan.mesh()).size();
  if (rows(plan.collective_hashes()).size() != axes) {
    return userError(name + ": must have one collective hash per mesh axis");
  }
  for (uint32_t axis = 0; axis < axes; ++axis) {
    if (collectiveHash(plan, axis) != hashOf(*plan.collective_hashes()->Get(axis))) {
      return userError(name + ": is damaged: the collective hash of axis " +
                       printable(text(plan.mesh()->Get(axis)->name())) +
                       " is not that of its collectives");
    }
  }
  Hash program = hashOf(*plan.program_hash());
  if (worldSize(plan) == 1 && hashOf(*plan.compilation_id()) != compilationId({&program, 1})) {
    return userError(name + ": is damaged: its compilation id is not that of its only program");
  }
  return Status::success();
}

}  // namespace

Error EntryContext::error(uint32_t instruction, const std::string& what) const {
  const fb::Instruction& i = *entry.instructions()->Get(instruction);
  return error("instruction " + std::to_string(instruction) + " (" + std::string(opName(i)) + ", " +
               printable(text(i.module_())) + "): " + what);
}

std::string EntryContext::shape(const fb::Buffer& buffer) const {
  return "[" + sizes.text(buffer.rows()) + ", " + std::to_string(buffer.cols()) + "]";
}

bool needs(const fb::Plan& plan, std::string_view feature) {
  Rows features = rows(plan.features());
  return std::any_of(features.begin(), features.end(),
                     [&](const auto* given) { return text(given) == feature; });
}

Status verifyHeader(const fb::Plan& plan, const std::string& name) {
  std::optional<uint32_t> world = worldSize(plan);
  if (!world) {
    return userError(name + ": its mesh must have from 1 to " + std::to_string(kMaxRanks) +
                     " ranks");
  }
  if (plan.rank() >= *world) {
    return userError(name + ": is of rank " + std::to_string(plan.rank()) + " of " +
                     std::to_string(*world));
  }
  std::set<std::string_view> axes;
  for (const fb::Axis* axis : rows(plan.mesh())) {
    if (text(axis->name()).empty() || !axes.insert(text(axis->name())).second) {
      return userError(name + ": the names of mesh axes must be unique and not empty");
    }
  }
  if (axes.size() > kMaxAxes) {
    return userError(name + ": has more than " + std::to_string(kMaxAxes) + " mesh axes");
  }
  Rows variables = rows(plan.variables());
  if (variables.size() != kVariables || text(variables[kT]) != "T" || text(variables[kB]) != "B") {
    return userError(name + ": its step variables must be T and B, in this order");
  }
  if (rows(plan.sizes()).size() > kMaxSizes) {
    return userError(name + ": has more than " + std::to_string(kMaxSizes) + " size expressions");
  }
  auto index = [](uint64_t value) { return value >= 1 && value <= kMaxIndex; };
  if (!index(plan.max_tokens()) || !index(plan.max_seqs()) || !index(plan.max_seq_len()) ||
      !index(plan.vocab_size())) {
    return userError(name +
                     ": max_tokens, max_seqs, max_seq_len and vocab_size must be from 1 to " +
                     std::to_string(kMaxIndex));
  }
  if ((plan.numerics() == fb::Numerics::invariant) != needs(plan, kInvariantNumerics)) {
    return userError(name + ": its numerics are " + fb::EnumNameNumerics(plan.numerics()) +
                     ", and exactly plans of invariant ones must need the feature " +
                     std::string(kInvariantNumerics));
  }
  return Status::success();
}

Status verify(const fb::Plan& plan, const std::string& name) {
  // A flipped bit may look like something unknown. Only a newer writer may have hashed fields that
  // this build does not see.
  Status intact = verifyProgramHash(plan, name), known = verifyKnown(plan, name);
  bool newer = plan.major() != kMajor || plan.minor() > kMinor || !rows(plan.features()).empty();
  if (newer) DCC_RETURN_IF_ERROR(known);
  DCC_RETURN_IF_ERROR(intact);
  DCC_RETURN_IF_ERROR(known);
  DCC_RETURN_IF_ERROR(verifyHeader(plan, name));
  DCC_RETURN_IF_ERROR(verifyWeights(plan, name));
  DCC_RETURN_IF_ERROR(verifyCaches(plan, name));
  DCC_ASSIGN(SizeAnalysis sizes, SizeAnalysis::of(plan, name));
  DCC_RETURN_IF_ERROR(verifyEntries(plan, sizes, name));
  return verifyCollectiveHashes(plan, name);
}

}  // namespace dcc::plan
