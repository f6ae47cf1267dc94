#include "runtime/backends/cpu/op.h"

#include "runtime/backends/plan_views.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"

namespace dcc::cpu {

PrepareContext::PrepareContext(const fb::Plan& plan, uint32_t entry, const PlanMemory& memory,
                               std::span<Communicator* const> axes, StepState& state,
                               std::vector<std::unique_ptr<RotaryTable>>& rotary)
    : plan_(plan),
      entry_(*plan.entries()->Get(entry)),
      memory_(memory),
      axes_(axes),
      state_(state),
      rotary_(rotary),
      max_sizes_(plan::rows(plan.sizes()).size()) {
  const auto* bounds = entry_.bounds();
  plan::evaluateSizes(plan, std::span(bounds->data(), bounds->size()), max_sizes_);
}

BufferRef PrepareContext::buffer(uint32_t index) const {
  const fb::Buffer& b = *entry_.buffers()->Get(index);
  BufferRef ref;
  switch (b.storage()) {
    case fb::Storage::arena:
      ref.matrix.data = memory_.arena + b.offset();
      break;
    case fb::Storage::tokens:
      ref.matrix.data = reinterpret_cast<std::byte*>(state_.tokens.data());
      break;
    case fb::Storage::positions:
      ref.matrix.data = reinterpret_cast<std::byte*>(state_.positions.data());
      break;
    case fb::Storage::types:
      ref.matrix.data = reinterpret_cast<std::byte*>(state_.types.data());
      break;
  }
  ref.matrix.dtype = static_cast<DType>(b.dtype());
  ref.matrix.cols = static_cast<int64_t>(b.cols());
  ref.matrix.stride = static_cast<int64_t>(b.row_stride());
  ref.rows = b.rows();
  return ref;
}

WeightView PrepareContext::weight(uint32_t index) const {
  return weightView(plan_, memory_, index);
}

CacheView PrepareContext::cache(uint32_t index) const { return cacheView(plan_, memory_, index); }

std::span<const float> PrepareContext::constant(uint32_t index) const {
  const auto* values = plan_.constants()->Get(index)->values();
  return {values->data(), values->size()};
}

const RotaryTable* PrepareContext::rotary(uint32_t constant, float scale,
                                          const std::optional<LongFrequencies>& beyond) {
  const std::span<const float> frequencies = this->constant(constant);
  for (const auto& table : rotary_) {
    if (table->isFor(frequencies, scale, beyond)) return table.get();
  }
  rotary_.push_back(std::make_unique<RotaryTable>(frequencies, scale, beyond,
                                                  static_cast<int64_t>(state_.positions.size())));
  return rotary_.back().get();
}

}  // namespace dcc::cpu
