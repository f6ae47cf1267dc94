#include "runtime/plan/mesh.h"
#include "runtime/plan/verify_internal.h"

namespace dcc::plan {
namespace {

using fb::CollectiveKind;

bool contiguous(const fb::Buffer& buffer) { return buffer.row_stride() == buffer.cols(); }

// The one buffer that holds all parts and the one that holds this rank's.
struct Sides {
  const fb::Buffer& whole;
  const fb::Buffer& part;
};

// all_gather and reduce_scatter: `counts` cut the whole along `dimension`, this rank has its part.
std::string cutProblem(const EntryContext& context, const fb::Collective& collective,
                       const Sides& sides) {
  Rows counts = rows(collective.counts());
  uint32_t ranks = context.plan.mesh()->Get(collective.axis())->size();
  if (collective.dimension() > 1) return "dimension must be 0 (rows) or 1 (columns)";
  if (counts.size() != ranks) {
    return "has " + std::to_string(counts.size()) + " counts; there must be one for each of " +
           std::to_string(ranks) + " ranks";
  }
  for (uint32_t i = 0; i < ranks; ++i) {
    if (counts[i] >= context.sizes.size()) {
      return "count " + std::to_string(i) + " is size " + std::to_string(counts[i]) +
             ", which the plan doesn't have";
    }
    if (context.ranges[counts[i]].least < 0) {
      return "count " + std::to_string(i) + " may be negative: " + context.sizes.text(counts[i]);
    }
  }
  uint32_t own = counts[coordinate(context.plan, collective.axis())];
  bool fits;
  if (collective.dimension() == 0) {
    std::vector<SizeRef> parts;
    for (uint32_t count : counts) parts.push_back({&context.sizes, count});
    fits = sides.whole.cols() == sides.part.cols() && context.equalSizes(own, sides.part.rows()) &&
           context.proof.sumEquals(parts, {&context.sizes, sides.whole.rows()});
  } else {
    fits = context.equalSizes(sides.whole.rows(), sides.part.rows()) &&
           context.sizes.constant(own) == static_cast<int64_t>(sides.part.cols());
    uint64_t left = sides.whole.cols();
    for (uint32_t i = 0; fits && i < ranks; ++i) {
      std::optional<int64_t> count = context.sizes.constant(counts[i]);
      fits = count && static_cast<uint64_t>(*count) <= left;
      if (fits) left -= static_cast<uint64_t>(*count);
    }
    fits = fits && left == 0;
  }
  if (fits) return "";
  return "the whole " + context.shape(sides.whole) + " and this rank's part " +
         context.shape(sides.part) + " do not agree with the counts";
}

// Gates of which every rank has the same: what an all_gather along the axis brought.
bool sameOnAllRanks(const fb::Instruction* writer, uint32_t axis) {
  const fb::Collective* from = writer ? writer->body_as_Collective() : nullptr;
  return from && from->kind() == CollectiveKind::all_gather && from->gates() < 0 &&
         from->axis() == axis;
}

// Of all_gather and reduce_scatter, whose other operands fit.
std::string gatesProblem(const EntryContext& context, const fb::Collective& collective,
                         const fb::Buffer& whole, const Writers& writers) {
  Rows experts = rows(collective.experts());
  if (collective.gates() < 0) {
    return experts.empty() ? "" : "experts mean nothing without gates";
  }
  if (!needs(context.plan, kExpertExchange)) {
    return "has gates, so the plan must need the feature " + std::string(kExpertExchange);
  }
  if (collective.dimension() != 0) return "gates go with rows";
  if (collective.reduction() == fb::Reduction::tree_sum) {
    return "gates leave out ranks, so that sums are no tree";
  }
  if (static_cast<uint32_t>(collective.gates()) >= context.bufferCount()) {
    return "gates are buffer " + std::to_string(collective.gates()) + ", which does not exist";
  }
  const fb::Buffer& gates = context.buffer(static_cast<uint32_t>(collective.gates()));
  if (gates.dtype() != fb::DType::f32 || !contiguous(gates) || gates.view_of() >= 0 ||
      !context.equalSizes(gates.rows(), whole.rows())) {
    return "gates must be f32 without gaps, one row for each of the whole";
  }
  uint32_t ranks = context.plan.mesh()->Get(collective.axis())->size();
  bool right = experts.size() == 2 * uint64_t{ranks};
  for (uint32_t i = 0; right && i < experts.size(); i += 2) {
    right = experts[i] <= experts[i + 1] && experts[i + 1] <= gates.cols();
  }
  if (!right) {
    return "experts must be a begin and an end, among " + std::to_string(gates.cols()) +
           ", for each of " + std::to_string(ranks) + " ranks";
  }
  if (!sameOnAllRanks(writers[collective.gates()], collective.axis())) {
    return "gates must come from an all_gather along the same axis, so that all ranks have the "
           "same";
  }
  return "";
}

}  // namespace

std::string collectiveProblem(const EntryContext& context, const fb::Collective& collective,
                              const Writers& writers) {
  if (collective.axis() >= rows(context.plan.mesh()).size()) {
    return "is over mesh axis " + std::to_string(collective.axis()) +
           ", which the plan doesn't have";
  }
  for (uint32_t index : {collective.input(), collective.output()}) {
    if (index >= context.bufferCount()) {
      return "buffer " + std::to_string(index) + " does not exist; there are " +
             std::to_string(context.bufferCount());
    }
    const fb::Buffer& buffer = context.buffer(index);
    const bool half = buffer.dtype() == fb::DType::bf16 || buffer.dtype() == fb::DType::f16;
    if (buffer.dtype() != fb::DType::f32 &&
        !(half && collective.kind() == CollectiveKind::all_gather)) {
      return "buffers must be f32 or, where nothing is summed, bf16 or f16";
    }
    if (!contiguous(buffer)) return "buffers must have no gaps between their rows";
  }
  if (collective.gates() < -1) return "gates must be a buffer, or -1 for none";
  if (collective.peer() != 0) return "peer means nothing to this collective";
  const fb::Buffer& input = context.buffer(collective.input());
  const fb::Buffer& output = context.buffer(collective.output());
  if (input.dtype() != output.dtype()) return "input and output must have the same type";
  const fb::Reduction sum = context.plan.numerics() == fb::Numerics::invariant
                                ? fb::Reduction::tree_sum
                                : fb::Reduction::sum;
  fb::Reduction reduction =
      collective.kind() == CollectiveKind::all_gather ? fb::Reduction::none : sum;
  if (collective.reduction() != reduction) {
    return std::string("reduction must be ") + fb::EnumNameReduction(reduction);
  }
  if (collective.kind() != CollectiveKind::all_reduce) {
    bool gather = collective.kind() == CollectiveKind::all_gather;
    const Sides sides = gather ? Sides{output, input} : Sides{input, output};
    std::string problem = cutProblem(context, collective, sides);
    return problem.empty() ? gatesProblem(context, collective, sides.whole, writers) : problem;
  }
  if (!rows(collective.counts()).empty() || collective.dimension() != 0 ||
      collective.gates() >= 0 || !rows(collective.experts()).empty()) {
    return "counts, dimension, gates and experts mean nothing to all_reduce";
  }
  if (input.cols() != output.cols() || !context.equalSizes(input.rows(), output.rows())) {
    return "input " + context.shape(input) + " and output " + context.shape(output) +
           " must have the same shape";
  }
  return "";
}

}  // namespace dcc::plan
