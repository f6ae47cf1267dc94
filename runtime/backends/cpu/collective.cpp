// Collectives of a plan on matrices in host memory. A Communicator moves dense memory, so matrices
// whose rows are apart, and cuts along columns, go through scratch.
#include <cstring>

#include "runtime/backends/cpu/exchange.h"
#include "runtime/backends/cpu/registry.h"
#include "runtime/plan/access.h"
#include "runtime/plan/workspace.h"

namespace dcc::cpu {
namespace {

bool isDense(const Matrix& m) { return m.stride == m.cols || m.rows <= 1; }

// Columns [first, first + cols) of m, dense, from / to `memory`.
void pack(const Matrix& m, int64_t first, int64_t cols, std::byte* memory) {
  const size_t bytes = cols * byteSize(m.dtype);
  for (int64_t r = 0; r < m.rows; ++r) std::memcpy(memory + r * bytes, m.at(r, first), bytes);
}
void unpack(const std::byte* memory, const Matrix& m, int64_t first, int64_t cols) {
  const size_t bytes = cols * byteSize(m.dtype);
  for (int64_t r = 0; r < m.rows; ++r) std::memcpy(m.at(r, first), memory + r * bytes, bytes);
}

// The matrix's elements without gaps: where they are, or brought to `scratch`.
const std::byte* dense(const Matrix& m, std::byte* scratch) {
  if (isDense(m)) return m.data;
  pack(m, 0, m.cols, scratch);
  return scratch;
}

void copy(const Matrix& in, const Matrix& out) {
  if (in.data == out.data) return;
  for (int64_t r = 0; r < in.rows; ++r) copyRow(in, r, 0, out, r, 0, in.cols);
}

// A collective's operands and where its scratch lies.
struct Ends {
  BufferRef in, out;
  plan::CollectiveWorkspace scratch;
};

Ends endsOf(PrepareContext& context, const fb::Collective& c) {
  return {context.buffer(c.input()), context.buffer(c.output()),
          plan::collectiveWorkspace(context.entry(), c, context.maxSizes())};
}

Op prepareAllReduce(const Ends& ends, Communicator* group, SumOrder order) {
  return [ends, group, order](StepState& s) -> Status {
    const Matrix in = ends.in.at(s), out = ends.out.at(s);
    const std::byte* from = dense(in, s.scratch);
    std::byte* to = isDense(out) ? out.data : s.scratch + ends.scratch.in;
    DCC_RETURN_IF_ERROR(group->allReduceSum(reinterpret_cast<const float*>(from),
                                            reinterpret_cast<float*>(to), in.rows * in.cols,
                                            order));
    if (to != out.data) unpack(to, out, 0, out.cols);
    return Status::success();
  };
}

Op prepareAllGather(const Ends& ends, Communicator* group, bool columns,
                    std::vector<uint32_t> counts) {
  return [ends, group, columns, counts = std::move(counts),
          bytes = std::vector<size_t>(group->size())](StepState& s) mutable -> Status {
    const Matrix in = ends.in.at(s), out = ends.out.at(s);
    // What one unit of a count is worth: a row, or a column of all rows.
    const size_t unit = (columns ? out.rows : out.cols) * byteSize(out.dtype);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = s.sizes[counts[i]] * unit;
    const bool direct = isDense(out) && (!columns || out.rows <= 1);
    std::byte* to = direct ? out.data : s.scratch + ends.scratch.in;
    DCC_RETURN_IF_ERROR(group->allGather(dense(in, s.scratch), to, bytes));
    if (direct) return Status::success();
    if (!columns) {
      unpack(to, out, 0, out.cols);
      return Status::success();
    }
    int64_t first = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      unpack(to, out, first, s.sizes[counts[i]]);
      first += s.sizes[counts[i]];
      to += bytes[i];
    }
    return Status::success();
  };
}

Op prepareReduceScatter(const Ends& ends, Communicator* group, SumOrder order, bool columns,
                        std::vector<uint32_t> counts) {
  return [ends, group, order, columns, counts = std::move(counts),
          elements = std::vector<size_t>(group->size())](StepState& s) mutable -> Status {
    const Matrix in = ends.in.at(s), out = ends.out.at(s);
    for (size_t i = 0; i < elements.size(); ++i) {
      elements[i] = s.sizes[counts[i]] * (columns ? in.rows : in.cols);
    }
    const std::byte* from = s.scratch;
    if (columns && in.rows > 1) {
      std::byte* part = s.scratch;
      int64_t first = 0;
      for (size_t i = 0; i < elements.size(); ++i) {
        pack(in, first, s.sizes[counts[i]], part);
        first += s.sizes[counts[i]];
        part += elements[i] * sizeof(float);
      }
    } else {
      from = dense(in, s.scratch);
    }
    std::byte* to = isDense(out) ? out.data : s.scratch + ends.scratch.in;
    DCC_RETURN_IF_ERROR(group->reduceScatterSum(reinterpret_cast<const float*>(from),
                                                reinterpret_cast<float*>(to), elements, order));
    if (to != out.data) unpack(to, out, 0, out.cols);
    return Status::success();
  };
}

}  // namespace

bool hasCollective(const fb::Collective& c) {
  switch (c.kind()) {
    case fb::CollectiveKind::all_reduce:
    case fb::CollectiveKind::reduce_scatter:
      return c.reduction() == fb::Reduction::sum || c.reduction() == fb::Reduction::tree_sum;
    case fb::CollectiveKind::all_gather:
      return true;
    default:
      return false;
  }
}

Op prepareCollective(PrepareContext& context, const fb::Collective& c) {
  const Ends ends = endsOf(context, c);
  Communicator* group = context.communicator(c.axis());
  if (group == nullptr) {  // alone on the axis
    return kernelOp([ends](StepState& s) { copy(ends.in.at(s), ends.out.at(s)); });
  }
  if (c.gates() >= 0) return prepareExchange(context, c, *group);
  std::vector<uint32_t> counts;
  for (uint32_t size : plan::rows(c.counts())) counts.push_back(size);
  const bool columns = c.dimension() == 1;
  const SumOrder order =
      c.reduction() == fb::Reduction::tree_sum ? SumOrder::kTree : SumOrder::kRanks;
  switch (c.kind()) {
    case fb::CollectiveKind::all_gather:
      return prepareAllGather(ends, group, columns, std::move(counts));
    case fb::CollectiveKind::reduce_scatter:
      return prepareReduceScatter(ends, group, order, columns, std::move(counts));
    default:  // hasCollective() admits no other
      return prepareAllReduce(ends, group, order);
  }
}

}  // namespace dcc::cpu
