// Collectives of a plan on matrices in device memory. A communicator moves dense memory, so
// matrices whose rows are apart, and cuts along columns, go through scratch.
//
// With gates a rank may leave out rows that nobody is asked for. Here all of them travel: their
// number is known on the device only, and what comes of them is a factor of 0.
#include "runtime/backends/cuda/op.h"
#include "runtime/plan/workspace.h"

namespace dcc::cuda {
namespace {

bool isDense(const Matrix& m) { return m.stride == m.cols || m.rows <= 1; }

// Columns [first, first + cols) of m.
Matrix columns(const Matrix& m, int64_t first, int64_t cols) {
  Matrix part = m;
  part.data = m.at(0, first);
  part.cols = cols;
  return part;
}

Matrix denseAt(std::byte* memory, const Matrix& like) {
  Matrix dense = like;
  dense.data = memory;
  dense.stride = like.cols;
  return dense;
}

// The matrix's elements without gaps: where they are, or brought to `scratch`.
const std::byte* dense(const StepState& s, const Matrix& m, std::byte* scratch) {
  if (isDense(m)) return m.data;
  copy(s.on, m, denseAt(scratch, m));
  return scratch;
}

struct Ends {
  BufferRef in, out;
  size_t out_scratch;  // where that of `out` begins
};

// What one unit of a count is worth: a row, or a column of all rows.
std::vector<size_t> perRank(const StepState& s, const std::vector<uint32_t>& counts, size_t unit) {
  std::vector<size_t> amounts(counts.size());
  for (size_t i = 0; i < counts.size(); ++i) amounts[i] = s.sizes[counts[i]] * unit;
  return amounts;
}

Op allReduce(const Ends& ends, DeviceCommunicator* group) {
  return [ends, group](const StepState& s) -> Status {
    const Matrix in = ends.in.at(s), out = ends.out.at(s);
    const std::byte* from = dense(s, in, s.scratch);
    std::byte* to = isDense(out) ? out.data : s.scratch + ends.out_scratch;
    DCC_RETURN_IF_ERROR(group->allReduceSum(reinterpret_cast<const float*>(from),
                                            reinterpret_cast<float*>(to), in.rows * in.cols,
                                            SumOrder::kRanks, s.on.stream));
    if (to != out.data) copy(s.on, denseAt(to, out), out);
    return Status::success();
  };
}

Op allGather(const Ends& ends, DeviceCommunicator* group, bool by_columns,
             std::vector<uint32_t> counts) {
  return [ends, group, by_columns, counts = std::move(counts)](const StepState& s) -> Status {
    const Matrix in = ends.in.at(s), out = ends.out.at(s);
    const std::vector<size_t> bytes =
        perRank(s, counts, (by_columns ? out.rows : out.cols) * byteSize(out.dtype));
    const bool direct = isDense(out) && (!by_columns || out.rows <= 1);
    std::byte* to = direct ? out.data : s.scratch + ends.out_scratch;
    DCC_RETURN_IF_ERROR(group->allGather(dense(s, in, s.scratch), to, bytes, s.on.stream));
    if (direct) return Status::success();
    if (!by_columns) {
      copy(s.on, denseAt(to, out), out);
      return Status::success();
    }
    int64_t first = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      const Matrix part = columns(out, first, s.sizes[counts[i]]);
      if (part.cols > 0) copy(s.on, denseAt(to, part), part);
      first += part.cols;
      to += bytes[i];
    }
    return Status::success();
  };
}

Op reduceScatter(const Ends& ends, DeviceCommunicator* group, bool by_columns,
                 std::vector<uint32_t> counts) {
  return [ends, group, by_columns, counts = std::move(counts)](const StepState& s) -> Status {
    const Matrix in = ends.in.at(s), out = ends.out.at(s);
    const std::vector<size_t> elements = perRank(s, counts, by_columns ? in.rows : in.cols);
    const std::byte* from = s.scratch;
    if (by_columns && in.rows > 1) {
      std::byte* to = s.scratch;
      int64_t first = 0;
      for (size_t i = 0; i < counts.size(); ++i) {
        const Matrix part = columns(in, first, s.sizes[counts[i]]);
        if (part.cols > 0) copy(s.on, part, denseAt(to, part));
        first += part.cols;
        to += elements[i] * sizeof(float);
      }
    } else {
      from = dense(s, in, s.scratch);
    }
    std::byte* to = isDense(out) ? out.data : s.scratch + ends.out_scratch;
    DCC_RETURN_IF_ERROR(group->reduceScatterSum(reinterpret_cast<const float*>(from),
                                                reinterpret_cast<float*>(to), elements,
                                                SumOrder::kRanks, s.on.stream));
    if (to != out.data) copy(s.on, denseAt(to, out), out);
    return Status::success();
  };
}

}  // namespace

bool hasCollective(const fb::Collective& c) {
  switch (c.kind()) {
    case fb::CollectiveKind::all_reduce:
    case fb::CollectiveKind::reduce_scatter:
      return c.reduction() == fb::Reduction::sum;
    case fb::CollectiveKind::all_gather:
      return true;
    default:
      return false;
  }
}

Result<Op> prepareCollective(PrepareContext& context, const fb::Collective& c, uint32_t index) {
  const plan::CollectiveWorkspace scratch =
      plan::collectiveWorkspace(context.entry(), c, context.maxSizes());
  const Ends ends{context.buffer(c.input()), context.buffer(c.output()), scratch.in};
  context.needScratch(scratch.bytes());
  DeviceCommunicator* group = context.communicator(c.axis());
  if (group == nullptr) {  // alone on the axis
    return kernelOp([ends](const StepState& s) {
      const Matrix in = ends.in.at(s), out = ends.out.at(s);
      if (in.data != out.data) copy(s.on, in, out);
    });
  }
  std::vector<uint32_t> counts;
  for (const uint32_t size : plan::rows(c.counts())) counts.push_back(size);
  const bool by_columns = c.dimension() == 1;
  const auto calls = [&]() -> Op {
    switch (c.kind()) {
      case fb::CollectiveKind::all_gather:
        return allGather(ends, group, by_columns, std::move(counts));
      case fb::CollectiveKind::reduce_scatter:
        return reduceScatter(ends, group, by_columns, std::move(counts));
      default:  // hasCollective() admits no other
        return allReduce(ends, group);
    }
  };
  return Op([group, index, call = calls()](const StepState& s) {
    group->beginInstruction(index);
    return call(s);
  });
}

Result<Op> prepareAllReduceAddNorm(PrepareContext& context, const fb::Collective& c, uint32_t index,
                                   const fb::Kernel& norm) {
  DCC_ASSIGN(Op reduce, prepareCollective(context, c, index));
  const Args args(context, norm);
  DCC_ASSIGN(Op add_norm, findKernel(norm.kind())(args));
  const uint32_t other = args.index(0) == c.output() ? 1 : 0;
  return Op([reduce = std::move(reduce), add_norm = std::move(add_norm),
             group = context.communicator(c.axis()), index, in = context.buffer(c.input()),
             other = args.buffer(other), weight = args.vector(2), sum = args.buffer(3),
             out = args.buffer(4),
             eps = args.real(fb::AttrKey::eps)](const StepState& s) -> Status {
    const AddNorm norm = {other.at(s), sum.at(s), out.at(s), weight, eps};
    if (!group->takesAddNorm(norm.sum.rows, norm.sum.cols)) {
      DCC_RETURN_IF_ERROR(reduce(s));
      return add_norm(s);
    }
    group->beginInstruction(index);
    const std::byte* from = dense(s, in.at(s), s.scratch);
    return group->allReduceAddNorm(reinterpret_cast<const float*>(from), norm, s.on);
  });
}

}  // namespace dcc::cuda
