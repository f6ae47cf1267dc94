#include "runtime/backends/cpu/op.h"

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
  const fb::Weight& w = *plan_.weights()->Get(index);
  WeightView view;
  view.data = reinterpret_cast<const std::byte*>(memory_.weights[index].data());
  view.dtype = static_cast<DType>(w.dtype());
  view.rows = static_cast<int64_t>(w.rows());
  view.cols = view.stride = static_cast<int64_t>(w.cols());
  view.row_origin = static_cast<int64_t>(w.row_origin());
  return view;
}

CacheView PrepareContext::cache(uint32_t index) const {
  const fb::Cache& c = *plan_.caches()->Get(index);
  const fb::PageGroup& group = *plan_.page_groups()->Get(c.group());
  CacheView view;
  view.pool = memory_.pools[c.group()];
  view.dtype = static_cast<DType>(c.dtype());
  view.group = c.group();
  view.tokens_per_page = group.tokens_per_page();
  view.bytes_per_page = static_cast<int64_t>(group.bytes_per_page());
  view.heads = c.heads();
  view.k_dim = c.k_dim();
  view.v_dim = c.v_dim();
  view.k_offset = static_cast<int64_t>(c.k_offset());
  view.v_offset = static_cast<int64_t>(c.v_offset());
  return view;
}

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
