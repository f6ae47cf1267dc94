#include "runtime/backends/cuda/op.h"

#include "runtime/plan/plan.h"

namespace dcc::cuda {

Result<const float*> Constants::at(const fb::Plan& plan, uint32_t index) {
  if (const auto found = memory_.find(index); found != memory_.end()) {
    return reinterpret_cast<const float*>(found->second.data());
  }
  const auto* values = plan.constants()->Get(index)->values();
  const size_t bytes = values->size() * sizeof(float);
  DCC_ASSIGN(DeviceMemory memory, DeviceMemory::allocate(bytes));
  DCC_RETURN_IF_ERROR(
      check(cudaMemcpy(memory.data(), values->data(), bytes, cudaMemcpyHostToDevice), "constants"));
  return reinterpret_cast<const float*>(
      memory_.emplace(index, std::move(memory)).first->second.data());
}

PrepareContext::PrepareContext(const fb::Plan& plan, uint32_t entry, const PlanMemory& memory,
                               std::span<DeviceCommunicator* const> axes, Constants& constants,
                               Products& products, std::byte* product_workspace)
    : plan_(plan),
      entry_(*plan.entries()->Get(entry)),
      memory_(memory),
      axes_(axes),
      constants_(constants),
      products_(products),
      product_workspace_(product_workspace),
      max_sizes_(plan::rows(plan.sizes()).size()) {
  const auto* bounds = entry_.bounds();
  plan::evaluateSizes(plan, std::span(bounds->data(), bounds->size()), max_sizes_);
  max_sequences_ = bounds->Get(plan::kB);
}

BufferRef PrepareContext::buffer(uint32_t index) const {
  const fb::Buffer& b = *entry_.buffers()->Get(index);
  BufferRef ref;
  ref.storage = b.storage();
  if (b.storage() == fb::Storage::arena) ref.matrix.data = memory_.arena + b.offset();
  ref.matrix.dtype = static_cast<DType>(b.dtype());
  ref.matrix.cols = static_cast<int64_t>(b.cols());
  ref.matrix.stride = static_cast<int64_t>(b.row_stride());
  ref.rows = b.rows();
  return ref;
}

}  // namespace dcc::cuda
