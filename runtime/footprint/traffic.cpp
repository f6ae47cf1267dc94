#include "runtime/footprint/traffic.h"

#include "runtime/base/dtype.h"
#include "runtime/plan/access.h"
#include "runtime/plan/mesh.h"
#include "runtime/plan/plan.h"

namespace dcc::footprint {

namespace fb = plan::fb;

std::vector<int64_t> sizesAt(const fb::Plan& plan, int64_t tokens, int64_t seqs) {
  std::vector<int64_t> variables(plan::kVariables), sizes(plan::rows(plan.sizes()).size());
  variables[plan::kT] = tokens;
  variables[plan::kB] = seqs;
  plan::evaluateSizes(plan, variables, sizes);
  return sizes;
}

Moved movedBy(const fb::Plan& plan, const fb::Entry& entry, const fb::Collective& collective,
              std::span<const int64_t> sizes, TransportKind transport) {
  const fb::Buffer& in = *entry.buffers()->Get(collective.input());
  const fb::Buffer& out = *entry.buffers()->Get(collective.output());
  const auto rowsOf = [&](const fb::Buffer& b) { return static_cast<uint64_t>(sizes[b.rows()]); };
  const uint64_t element = byteSize(static_cast<DType>(in.dtype()));
  const uint64_t count = rowsOf(in) * in.cols();

  Moved moved;
  moved.payload = count * element;
  GroupShape group{transport, plan::coordinate(plan, collective.axis()),
                   plan.mesh()->Get(collective.axis())->size()};
  if (group.ranks == 1) return moved;  // a copy
  if (collective.kind() == fb::CollectiveKind::all_reduce) {
    moved.traffic = allReduceTraffic(group, count);
    moved.scratch = allReduceScratch(group, count, in.offset() == out.offset());
    return moved;
  }
  if (collective.kind() != fb::CollectiveKind::all_gather &&
      collective.kind() != fb::CollectiveKind::reduce_scatter) {
    return moved;  // no transport has it yet
  }
  // Along the dimension that is cut, one unit is a row of the whole, or a column of all its rows.
  const bool gather = collective.kind() == fb::CollectiveKind::all_gather;
  const fb::Buffer& whole = gather ? out : in;
  const uint64_t unit = collective.dimension() == 1 ? rowsOf(whole) : whole.cols();
  std::vector<size_t> parts;  // bytes of a gather, elements of a sum
  for (uint32_t size : plan::rows(collective.counts())) {
    parts.push_back(static_cast<uint64_t>(sizes[size]) * unit * (gather ? element : 1));
  }
  if (collective.gates() >= 0) {
    // Every row to everyone, or from everyone.
    std::vector<size_t> bytes(parts.size() * parts.size());
    for (uint32_t i = 0; i < parts.size(); ++i) {
      for (uint32_t j = 0; j < parts.size(); ++j) {
        if (i != j) bytes[i * parts.size() + j] = gather ? parts[i] : parts[j] * element;
      }
    }
    moved.traffic = allToAllTraffic(group, bytes);
    moved.at_most = true;
    return moved;
  }
  if (gather) {
    moved.traffic = allGatherTraffic(group, parts);
  } else {
    moved.traffic = reduceScatterTraffic(group, parts);
    moved.scratch = reduceScatterScratch(group, parts);
  }
  return moved;
}

}  // namespace dcc::footprint
