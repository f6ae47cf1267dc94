#include "runtime/plan/workspace.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {
namespace {

constexpr int64_t kLineFloats = 16;
constexpr size_t kLineBytes = kLineFloats * sizeof(float);

DType dtypeOf(const fb::Buffer& buffer) { return static_cast<DType>(buffer.dtype()); }

// At the entry's bounds.
size_t denseBytes(const fb::Buffer& buffer, std::span<const int64_t> sizes) {
  return alignUp<size_t>(sizes[buffer.rows()] * buffer.cols() * byteSize(dtypeOf(buffer)),
                         kLineBytes);
}

bool hasGaps(const fb::Buffer& buffer) { return buffer.row_stride() != buffer.cols(); }

uint64_t attentionBytes(const fb::Plan& plan, const fb::Entry& entry, const fb::Kernel& kernel,
                        uint32_t threads) {
  const fb::Buffer& q = *entry.buffers()->Get(kernel.operands()->Get(0)->index());
  const fb::Cache& cache = *plan.caches()->Get(kernel.operands()->Get(1)->index());
  const auto heads = static_cast<int64_t>(q.cols() / cache.k_dim());
  const AttentionBlocks blocks(cache.k_dim(), cache.v_dim(),
                               headsPerKvHead(kernel, heads, cache.heads()),
                               static_cast<int64_t>(plan.max_seq_len()));
  return attentionWorkspaceBytes(blocks, threads);
}

uint64_t selfAttentionBytes(const fb::Entry& entry, const fb::Kernel& kernel, uint32_t threads) {
  const auto columns = [&](uint32_t i) {
    return static_cast<int64_t>(entry.buffers()->Get(kernel.operands()->Get(i)->index())->cols());
  };
  int64_t head_dim = 1;  // which it has
  for (const fb::Attr* attr : rows(kernel.attrs())) {
    if (attr->key() == fb::AttrKey::head_dim) head_dim = attr->i();
  }
  const int64_t kv_heads = columns(1) / head_dim;
  const int64_t heads = headsPerKvHead(kernel, columns(0) / head_dim, kv_heads);
  return attentionWorkspaceBytes(AttentionBlocks(head_dim, columns(2) / kv_heads, heads, 0),
                                 threads);
}

// Sums over experts that are kept apart.
int64_t sumsOf(const fb::Kernel& experts) {
  int64_t sums = 1;
  for (const fb::Attr* attr : rows(experts.attrs())) {
    const bool parts = attr->key() == fb::AttrKey::chunks || attr->key() == fb::AttrKey::groups;
    if (parts) sums = std::max(sums, attr->i());
  }
  return sums;
}

uint64_t expertsBytes(const fb::Plan& plan, const fb::Entry& entry, const fb::Kernel& kernel,
                      std::span<const int64_t> sizes, uint32_t threads) {
  const auto index = [&](uint32_t i) { return kernel.operands()->Get(i)->index(); };
  const fb::Buffer& x = *entry.buffers()->Get(index(0));
  const fb::Buffer& out = *entry.buffers()->Get(index(5));
  const auto width = static_cast<int64_t>(plan.weights()->Get(index(4))->cols());
  return ExpertsWorkspace(sizes[x.rows()], static_cast<int64_t>(x.cols()), width,
                          static_cast<int64_t>(out.cols()), sumsOf(kernel), dtypeOf(x), threads)
      .bytes();
}

}  // namespace

GemmWorkspace gemmWorkspace(int64_t rows, int64_t k, int64_t chunks, DType a, DType out,
                            uint32_t threads) {
  // Each chunk as f32; or, bf16, in whole tiles of 16 rows and 32 elements.
  const int64_t chunk = k / chunks;
  const size_t wide = chunks * alignUp<size_t>(rows * chunk, kLineFloats) * sizeof(float);
  const size_t tiles =
      chunks * alignUp<size_t>(rows, 16) * alignUp<size_t>(chunk, 32) * sizeof(uint16_t);
  return {threads * GemmBlocks::kScratchBytes,
          a == DType::kF32    ? 0
          : a == DType::kBF16 ? std::max(wide, tiles)
                              : wide,
          out == DType::kF32 ? 0 : threads * GemmBlocks::kFloats * sizeof(float),
          threads * GemmBlocks::waitingSums(chunks) * GemmBlocks::kFloats * sizeof(float)};
}

AttentionBlocks::AttentionBlocks(int64_t k_dim, int64_t v_dim, int64_t heads, int64_t longest)
    : heads(heads),
      rows(std::max(kRows, heads)),
      k_stride(alignUp(k_dim, kLineFloats)),
      v_stride(alignUp(v_dim, kLineFloats)),
      segment_keys(std::max(kSegmentKeys, alignUp(ceilDiv(longest, kSegments), kKeys))),
      segments(std::max<int64_t>(1, ceilDiv(longest, segment_keys))) {
  if (longest == 0) segment_keys = std::numeric_limits<int64_t>::max();
}

int64_t AttentionBlocks::floats() const {
  return rows * (k_stride + kKeys) + kTurnedKeys * k_stride + kKeys * std::max(k_stride, v_stride) +
         2 * partFloats(rows);
}

int64_t AttentionBlocks::partFloats(int64_t rows) const {
  return rows * v_stride + 2 * alignUp(rows, kLineFloats);
}

int64_t AttentionBlocks::sharedTasks(uint32_t threads) const {
  return segments > 1 && threads > 1 ? 2 * int64_t{threads} : 0;
}

uint64_t attentionWorkspaceBytes(const AttentionBlocks& blocks, uint32_t threads) {
  const int64_t shared =
      blocks.sharedTasks(threads) * blocks.segments * blocks.partFloats(blocks.heads);
  return (threads * blocks.floats() + shared) * sizeof(float);
}

CollectiveWorkspace collectiveWorkspace(const fb::Entry& entry, const fb::Collective& collective,
                                        std::span<const int64_t> sizes) {
  const fb::Buffer& in = *entry.buffers()->Get(collective.input());
  const fb::Buffer& out = *entry.buffers()->Get(collective.output());
  if (collective.gates() >= 0) {
    // A part of rows, to or from every other rank; or the rows of the others.
    const bool gather = collective.kind() == fb::CollectiveKind::all_gather;
    const size_t others = rows(collective.counts()).size() - 1;
    return {gather ? others * denseBytes(in, sizes) : denseBytes(in, sizes),
            gather ? denseBytes(out, sizes) : others * denseBytes(out, sizes)};
  }
  const bool columns = collective.dimension() == 1;
  const bool scatters = collective.kind() == fb::CollectiveKind::reduce_scatter && columns;
  const bool gathers = collective.kind() == fb::CollectiveKind::all_gather && columns;
  return {hasGaps(in) || scatters ? denseBytes(in, sizes) : 0,
          hasGaps(out) || gathers ? denseBytes(out, sizes) : 0};
}

int64_t headsPerKvHead(const fb::Kernel& attention, int64_t heads, int64_t kv_heads) {
  const Rows<uint64_t> pairing = rows(attention.ranges());
  if (pairing.empty()) return heads / kv_heads;
  return std::min(heads, static_cast<int64_t>(pairing[1]));
}

ExpertsWorkspace::ExpertsWorkspace(int64_t rows, int64_t d, int64_t width, int64_t out,
                                   int64_t sums, DType type, uint32_t threads)
    : x(alignUp(rows * d, kLineFloats)),
      hidden(alignUp(rows * width, kLineFloats)),
      result(alignUp(rows * out, kLineFloats)),
      sums(sums > 1 ? alignUp(sums * rows * out, kLineFloats) : 0),
      places(alignUp(rows, kLineFloats)),
      product(gemmWorkspace(rows, std::max(d, width), 1, type, DType::kF32, threads).bytes()) {}

size_t ExpertsWorkspace::bytes() const {
  return (x + 2 * hidden + result + sums + places) * sizeof(float) + product;
}

uint64_t workspaceBytes(const fb::Plan& plan, const fb::Entry& entry, uint32_t threads) {
  std::vector<int64_t> sizes(rows(plan.sizes()).size());
  evaluateSizes(plan, std::span(entry.bounds()->data(), entry.bounds()->size()), sizes);
  uint64_t most = 0;
  for (const fb::Instruction* instruction : rows(entry.instructions())) {
    uint64_t bytes = 0;
    if (const fb::Gemm* gemm = instruction->body_as_Gemm()) {
      const fb::Buffer& a = *entry.buffers()->Get(gemm->a());
      const fb::Buffer& out = *entry.buffers()->Get(gemm->out());
      bytes = gemmWorkspace(sizes[a.rows()], static_cast<int64_t>(a.cols()), gemm->chunks(),
                            dtypeOf(a), dtypeOf(out), threads)
                  .bytes();
    } else if (const fb::Collective* collective = instruction->body_as_Collective()) {
      bytes = collectiveWorkspace(entry, *collective, sizes).bytes();
    } else if (const fb::Kernel* kernel = instruction->body_as_Kernel()) {
      if (kernel->kind() == fb::KernelKind::attention) {
        bytes = attentionBytes(plan, entry, *kernel, threads);
      } else if (kernel->kind() == fb::KernelKind::self_attention) {
        bytes = selfAttentionBytes(entry, *kernel, threads);
      } else if (kernel->kind() == fb::KernelKind::experts) {
        bytes = expertsBytes(plan, entry, *kernel, sizes, threads);
      }
    }
    most = std::max(most, bytes);
  }
  return most;
}

}  // namespace dcc::plan
