// The parts of verify(), one file each, in the order in which they run: each may rely on what those
// before it have established.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/size_analysis.h"
#include "runtime/plan/size_proof.h"

namespace dcc::plan {

// verify_missing.cpp: everything the plan needs and this build lacks, in one error.
Status verifyKnown(const fb::Plan& plan, const std::string& name);
// verify.cpp: mesh, rank, variables, limits of the plan.
Status verifyHeader(const fb::Plan& plan, const std::string& name);
// verify_weights.cpp: files, weights and their pieces, constants.
Status verifyWeights(const fb::Plan& plan, const std::string& name);
// verify_caches.cpp: page groups and caches.
Status verifyCaches(const fb::Plan& plan, const std::string& name);

// Whether Plan.features has it.
bool needs(const fb::Plan& plan, std::string_view feature);

// An entry on its way through the verifier.
struct EntryContext {
  const fb::Plan& plan;
  const fb::Entry& entry;
  const SizeAnalysis& sizes;
  SizeProof& proof;
  std::vector<SizeRange> ranges;  // of all sizes, at the entry's bounds
  std::string where;              // "<name>: entry prefill"

  const fb::Buffer& buffer(uint32_t i) const { return *entry.buffers()->Get(i); }
  uint32_t bufferCount() const { return rows(entry.buffers()).size(); }
  Error error(const std::string& what) const { return userError(where + ": " + what); }
  // "<where>: instruction 3 (gemm, model.layers.0.mlp.down_proj): <what>".
  Error error(uint32_t instruction, const std::string& what) const;
  // "[T, 8]".
  std::string shape(const fb::Buffer& buffer) const;
  // In every step.
  bool equalSizes(uint32_t a, uint32_t b) const { return proof.equal({&sizes, a}, {&sizes, b}); }
};

// The columns that a buffer covers of the buffer which owns its memory.
struct Region {
  uint32_t root;
  uint64_t begin, end;
};
Region regionOf(const EntryContext& context, uint32_t buffer);
// Bytes from the buffer's offset to its end at the entry's bounds; the buffer is verified.
uint64_t extentBytes(const EntryContext& context, uint32_t buffer);

// verify_buffers.cpp
Status verifyBuffers(const EntryContext& context);
Status verifyOutputs(const EntryContext& context);
// verify_instructions.cpp: operands, attributes, shapes of GEMMs and kernels.
Status verifyInstructions(const EntryContext& context);
// Those below return what is wrong with the instruction, or an empty text.
// Per buffer: the instruction that wrote it last, null where none has.
using Writers = std::vector<const fb::Instruction*>;
// verify_collectives.cpp
std::string collectiveProblem(const EntryContext& context, const fb::Collective& collective,
                              const Writers& writers);
// What is wrong with sums kept apart for `parts` equal parts of `size` and added as a tree.
std::string partsProblem(const fb::Plan& plan, std::string_view name, int64_t parts, uint64_t size);
// verify_kernels.cpp: shapes and the attributes' values; there are the right operands and
// attributes.
std::string kernelProblem(const EntryContext& context, const fb::Kernel& kernel);
// verify_dataflow.cpp: nothing read before it is written, in place only where that is allowed,
// buffers alive at the same time apart from each other.
Status verifyDataflow(const EntryContext& context);

}  // namespace dcc::plan
