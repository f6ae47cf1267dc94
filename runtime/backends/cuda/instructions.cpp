// An entry's instructions as ops. Where several that follow each other are one launch, the last of
// them has it and the others none:
//
//   rope of q, rope of k, kv_write of the latter's result      ropeAndWrite
//   a product, the gated activation of its two halves           gatedGemv, for few rows
//   a sum over ranks, add_rms_norm of it                        allReduceAddNorm, for few rows
#include "runtime/backends/cuda/op.h"
#include "runtime/plan/dataflow.h"

namespace dcc::cuda {
namespace {

class Fuser {
 public:
  explicit Fuser(PrepareContext& context)
      : context_(context), instructions_(plan::rows(context.entry().instructions())) {}

  // Prepares some instructions from i on as one; how many, 0 where they don't fit together.
  Result<uint32_t> fuse(uint32_t i, std::vector<Op>& ops) {
    DCC_ASSIGN(const uint32_t ropes, fuseRopes(i, ops));
    if (ropes > 0) return ropes;
    DCC_ASSIGN(const uint32_t sums, fuseSumAndNorm(i, ops));
    if (sums > 0) return sums;
    return fuseGatedProduct(i, ops);
  }

 private:
  const fb::Kernel* kernel(uint32_t i, fb::KernelKind kind) const {
    if (i >= instructions_.size()) return nullptr;
    const fb::Kernel* kernel = instructions_[i]->body_as_Kernel();
    return kernel != nullptr && kernel->kind() == kind ? kernel : nullptr;
  }
  // Whether two buffers share columns of the same memory.
  bool overlap(uint32_t a, uint32_t b) const;
  // Whether two buffers, alive at the same time or not, have bytes of the arena in common.
  bool collide(uint32_t a, uint32_t b) const;
  // Whether an instruction from i on, or the entry's caller, reads what is in the buffer.
  bool isUsedFrom(uint32_t i, uint32_t buffer) const;

  Result<uint32_t> fuseRopes(uint32_t i, std::vector<Op>& ops);
  Result<uint32_t> fuseGatedProduct(uint32_t i, std::vector<Op>& ops);
  Result<uint32_t> fuseSumAndNorm(uint32_t i, std::vector<Op>& ops);
  // Whether it is no view of another, and its rows begin at multiples of 4 elements.
  bool isWhole(uint32_t buffer) const;

  PrepareContext& context_;
  plan::Rows<flatbuffers::Offset<fb::Instruction>> instructions_;
};

bool Fuser::overlap(uint32_t a, uint32_t b) const {
  const fb::Entry& entry = context_.entry();
  if (plan::rootOf(entry, a) != plan::rootOf(entry, b)) return false;
  const auto begin = [&](uint32_t i) { return entry.buffers()->Get(i)->offset(); };
  const auto end = [&](uint32_t i) {
    const fb::Buffer& buffer = *entry.buffers()->Get(i);
    return buffer.offset() + buffer.cols() * byteSize(static_cast<DType>(buffer.dtype()));
  };
  return begin(a) < end(b) && begin(b) < end(a);
}

bool Fuser::collide(uint32_t a, uint32_t b) const {
  const fb::Entry& entry = context_.entry();
  const uint32_t roots[] = {plan::rootOf(entry, a), plan::rootOf(entry, b)};
  if (roots[0] == roots[1]) return overlap(a, b);
  std::byte *begins[2], *ends[2];
  for (int i = 0; i < 2; ++i) {
    const BufferRef buffer = context_.buffer(roots[i]);
    if (buffer.storage != fb::Storage::arena) return false;
    begins[i] = buffer.matrix.data;
    ends[i] = buffer.matrix.at(context_.maxRows(buffer), 0);
  }
  return begins[0] < ends[1] && begins[1] < ends[0];
}

bool Fuser::isUsedFrom(uint32_t i, uint32_t buffer) const {
  for (; i < instructions_.size(); ++i) {
    for (const uint32_t read : plan::accessesOf(*instructions_[i]).reads) {
      if (overlap(read, buffer)) return true;
    }
  }
  for (const fb::Output* output : plan::rows(context_.entry().outputs())) {
    if (overlap(output->buffer(), buffer)) return true;
  }
  return false;
}

Result<uint32_t> Fuser::fuseRopes(uint32_t i, std::vector<Op>& ops) {
  const fb::Kernel* q_rope = kernel(i, fb::KernelKind::rope);
  const fb::Kernel* k_rope = kernel(i + 1, fb::KernelKind::rope);
  const fb::Kernel* write = kernel(i + 2, fb::KernelKind::kv_write);
  if (q_rope == nullptr || k_rope == nullptr || write == nullptr) return 0;
  const Args q(context_, *q_rope), k(context_, *k_rope), kv(context_, *write);
  if (kv.index(0) != k.index(3) || collide(k.index(0), q.index(3))) return 0;
  DCC_ASSIGN(const RopeShape q_shape, ropeShape(q));
  DCC_ASSIGN(const RopeShape k_shape, ropeShape(k));
  const bool keep = isUsedFrom(i + 3, k.index(3));
  if (keep && collide(q.index(0), k.index(3))) return 0;
  ops.emplace_back();
  ops.emplace_back();
  ops.push_back(
      kernelOp([x = q.buffer(0), x_out = q.buffer(3), q_shape, y = k.buffer(0), y_out = k.buffer(3),
                k_shape, v = kv.buffer(1), cache = kv.cache(2), keep](const StepState& s) {
        const Matrix rotated = y_out.at(s);
        ropeAndWrite(s.on, x.at(s), q_shape, x_out.at(s), y.at(s), k_shape,
                     keep ? &rotated : nullptr, v.at(s), cache, s.step, s.pages[cache.group]);
      }));
  return 3;
}

Result<uint32_t> Fuser::fuseGatedProduct(uint32_t i, std::vector<Op>& ops) {
  const fb::Gemm* gemm = instructions_[i]->body_as_Gemm();
  const fb::Kernel* gated = kernel(i + 1, fb::KernelKind::gated_activation);
  if (gemm == nullptr || gated == nullptr || gemm->bias() >= 0) return 0;
  const Args args(context_, *gated);
  const BufferRef both = context_.buffer(gemm->out()), gate = args.buffer(0), up = args.buffer(1);
  const int64_t half = both.matrix.cols / 2;
  if (both.matrix.cols != 2 * half || gate.matrix.cols != half || up.matrix.cols != half ||
      gate.matrix.data != both.matrix.data || up.matrix.data != both.matrix.at(0, half) ||
      isUsedFrom(i + 2, gemm->out()) || collide(gemm->a(), args.index(2))) {
    return 0;
  }
  DCC_ASSIGN(Op product, prepareGemm(context_, *gemm));
  const WeightView weight = context_.weight(gemm->weight());
  ops.emplace_back();
  ops.push_back([product = std::move(product), a = context_.buffer(gemm->a()), both, weight, gate,
                 up, out = args.buffer(2), function = args.function(),
                 &products = context_.products()](const StepState& s) -> Status {
    const Matrix rows = a.at(s), to = out.at(s);
    DCC_ASSIGN(const ProductBy way, products.way(shapeOf(rows, weight, nullptr, both.at(s))));
    if (way == ProductBy::kGemv) {
      gatedGemv(s.on, rows, weight, function, to);
      return Status::success();
    }
    DCC_RETURN_IF_ERROR(product(s));
    gatedActivation(s.on, function, gate.at(s), up.at(s), to);
    return Status::success();
  });
  return 2;
}

bool Fuser::isWhole(uint32_t buffer) const {
  const fb::Buffer& b = *context_.entry().buffers()->Get(buffer);
  return plan::rootOf(context_.entry(), buffer) == buffer && b.row_stride() % 4 == 0;
}

// What is asked before the ranks are has the same answer on all of them: their plans are one
// program, and differ in sizes of what is split, which sums are not, and so in where memory is used
// again.
Result<uint32_t> Fuser::fuseSumAndNorm(uint32_t i, std::vector<Op>& ops) {
  const fb::Collective* sum = instructions_[i]->body_as_Collective();
  const fb::Kernel* norm = kernel(i + 1, fb::KernelKind::add_rms_norm);
  if (sum == nullptr || norm == nullptr || sum->kind() != fb::CollectiveKind::all_reduce ||
      sum->reduction() != fb::Reduction::sum || context_.communicator(sum->axis()) == nullptr) {
    return 0;
  }
  const Args args(context_, *norm);
  const uint32_t x = args.index(0), y = args.index(1);
  if ((x == sum->output()) == (y == sum->output()) || isUsedFrom(i + 2, sum->output())) return 0;
  const uint32_t in = sum->input(), other = x == sum->output() ? y : x;
  const uint32_t added = args.index(3), out = args.index(4);
  for (const uint32_t buffer : {in, other, added, out}) {
    if (!isWhole(buffer)) return 0;
  }
  const bool apart = !collide(in, added) && !collide(in, out) && !collide(other, out) &&
                     !collide(added, out) && (added == other || !collide(other, added));
  DCC_ASSIGN(const bool all, context_.communicator(sum->axis())->mayAddNorm(apart));
  if (!all) return 0;
  DCC_ASSIGN(Op op, prepareAllReduceAddNorm(context_, *sum, i, *norm));
  ops.emplace_back();
  ops.push_back(std::move(op));
  return 2;
}

Result<Op> prepareOne(PrepareContext& context, const fb::Instruction& instruction, uint32_t index) {
  if (const fb::Gemm* gemm = instruction.body_as_Gemm()) return prepareGemm(context, *gemm);
  if (const fb::Collective* c = instruction.body_as_Collective()) {
    return prepareCollective(context, *c, index);
  }
  const fb::Kernel& kernel = *instruction.body_as_Kernel();
  return findKernel(kernel.kind())(Args(context, kernel));
}

}  // namespace

Result<std::vector<Op>> prepareInstructions(PrepareContext& context, bool fuse) {
  const auto instructions = plan::rows(context.entry().instructions());
  Fuser fuser(context);
  std::vector<Op> ops;
  while (ops.size() < instructions.size()) {
    const auto i = static_cast<uint32_t>(ops.size());
    if (fuse) {
      DCC_ASSIGN(const uint32_t fused, fuser.fuse(i, ops));
      if (fused > 0) continue;
    }
    DCC_ASSIGN(Op op, prepareOne(context, *instructions[i], i));
    ops.push_back(std::move(op));
  }
  return ops;
}

}  // namespace dcc::cuda
