#include "runtime/executor/result_hashes.h"

#include <algorithm>

#include "runtime/base/dtype.h"
#include "runtime/base/hash.h"
#include "runtime/plan/access.h"

namespace dcc {
namespace {

namespace fb = plan::fb;

// An exchange of experts' rows (gates) gives each rank its own.
bool givesAllTheSame(const fb::Collective& collective) {
  return collective.gates() < 0 && (collective.kind() == fb::CollectiveKind::all_reduce ||
                                    collective.kind() == fb::CollectiveKind::all_gather);
}

}  // namespace

CollectiveResult resultOf(const fb::Entry& entry, const fb::Collective& collective,
                          std::span<const int64_t> sizes, std::byte* arena) {
  const fb::Buffer& buffer = *entry.buffers()->Get(collective.output());
  const size_t element = byteSize(static_cast<DType>(buffer.dtype()));
  return {arena + buffer.offset(), sizes[buffer.rows()], buffer.cols() * element,
          buffer.row_stride() * element};
}

ResultHashes::ResultHashes(const fb::Plan& plan) : plan_(plan) {
  size_t most = 0;
  for (const fb::Entry* entry : plan::rows(plan.entries())) {
    std::vector<uint32_t>& shared = shared_.emplace_back();
    const auto instructions = plan::rows(entry->instructions());
    for (uint32_t i = 0; i < instructions.size(); ++i) {
      const fb::Collective* collective = instructions[i]->body_as_Collective();
      if (collective != nullptr && givesAllTheSame(*collective)) shared.push_back(i);
    }
    most = std::max(most, shared.size());
  }
  hashes_.reserve(most);
}

Observer::Asks ResultHashes::asks(uint32_t entry, uint32_t instruction) const {
  const bool shared = std::ranges::binary_search(shared_[entry], instruction);
  return shared ? Asks::kValues : Asks::kTimes;
}

Status ResultHashes::ran(const Ran& ran) {
  const std::vector<uint32_t>& shared = shared_[ran.entry];
  if (hashes_.size() == shared.size() || shared[hashes_.size()] != ran.instruction) {
    return Status::success();
  }
  const fb::Entry& entry = *plan_.entries()->Get(ran.entry);
  const CollectiveResult result =
      resultOf(entry, *entry.instructions()->Get(ran.instruction)->body_as_Collective(), ran.sizes,
               ran.arena);
  uint64_t hash = 0;
  if (result.row_bytes == result.stride_bytes) {
    hash = hash64({result.data, static_cast<size_t>(result.rows) * result.row_bytes});
  } else {
    for (int64_t r = 0; r < result.rows; ++r) {
      hash = hash64({result.data + static_cast<size_t>(r) * result.stride_bytes, result.row_bytes},
                    hash);
    }
  }
  hashes_.push_back(hash);
  return Status::success();
}

}  // namespace dcc
