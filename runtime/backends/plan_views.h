// What a plan's indices stand for once its memory is laid out: the same for every backend.
#pragma once

#include "plan_generated.h"
#include "runtime/backends/backend.h"
#include "runtime/backends/shapes.h"
#include "runtime/plan/access.h"

namespace dcc {

inline WeightView weightView(const plan::fb::Plan& plan, const PlanMemory& memory, uint32_t index) {
  const plan::fb::Weight& w = *plan.weights()->Get(index);
  WeightView view;
  view.data = reinterpret_cast<const std::byte*>(memory.weights[index].data());
  view.dtype = static_cast<DType>(w.dtype());
  view.rows = static_cast<int64_t>(w.rows());
  view.cols = view.stride = static_cast<int64_t>(w.cols());
  view.row_origin = static_cast<int64_t>(w.row_origin());
  return view;
}

inline CacheView cacheView(const plan::fb::Plan& plan, const PlanMemory& memory, uint32_t index) {
  const plan::fb::Cache& c = *plan.caches()->Get(index);
  const plan::fb::PageGroup& group = *plan.page_groups()->Get(c.group());
  CacheView view;
  view.pool = memory.pools[c.group()];
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

// A kernel's operands and attributes by their place in runtime/plan/kernels.h.
class KernelArgs {
 public:
  explicit KernelArgs(const plan::fb::Kernel& kernel) : kernel_(kernel) {}

  uint32_t index(uint32_t i) const { return kernel_.operands()->Get(i)->index(); }
  // Of an operand that may be left out.
  bool given(uint32_t i) const { return i < kernel_.operands()->size(); }

  bool has(plan::fb::AttrKey key) const { return find(key) != nullptr; }
  // 0 where it is not given.
  double exact(plan::fb::AttrKey key) const { return find(key) ? find(key)->f() : 0; }
  float real(plan::fb::AttrKey key) const { return static_cast<float>(exact(key)); }
  int64_t integer(plan::fb::AttrKey key, int64_t otherwise = 0) const {
    const plan::fb::Attr* attr = find(key);
    return attr ? attr->i() : otherwise;
  }
  plan::Rows<uint64_t> ranges() const { return plan::rows(kernel_.ranges()); }

 private:
  const plan::fb::Attr* find(plan::fb::AttrKey key) const {
    for (const plan::fb::Attr* attr : plan::rows(kernel_.attrs())) {
      if (attr->key() == key) return attr;
    }
    return nullptr;
  }

  const plan::fb::Kernel& kernel_;
};

// A kernel's operands as they lie in memory, by a backend's context of preparing.
template <class Context>
class OperandArgs : public KernelArgs {
 public:
  OperandArgs(Context& context, const plan::fb::Kernel& kernel)
      : KernelArgs(kernel), context_(context) {}

  auto buffer(uint32_t i) const { return context_.buffer(index(i)); }
  WeightView weight(uint32_t i) const { return context_.weight(index(i)); }
  const float* vector(uint32_t i) const { return context_.vector(index(i)); }
  CacheView cache(uint32_t i) const { return context_.cache(index(i)); }
  const float* vectorIfGiven(uint32_t i) const { return given(i) ? vector(i) : nullptr; }
  plan::Function function() const { return plan::Function{integer(plan::fb::AttrKey::function)}; }
  Context& context() const { return context_; }

 private:
  Context& context_;
};

// Of attention and self_attention; without sinks and without an end to growth.
inline AttentionShape attentionShape(const KernelArgs& args) {
  using plan::fb::AttrKey;
  AttentionShape shape;
  shape.head_dim = args.integer(AttrKey::head_dim);
  shape.scale = args.real(AttrKey::scale);
  shape.window = args.integer(AttrKey::window);
  shape.chunk = args.integer(AttrKey::chunk);
  shape.softcap = args.real(AttrKey::softcap);
  if (const auto pairing = args.ranges(); !pairing.empty()) {
    shape.first = static_cast<int64_t>(pairing[0]);
    shape.group = static_cast<int64_t>(pairing[1]);
  }
  return shape;
}

template <class Context>
RouteShape routeShape(const OperandArgs<Context>& args) {
  using plan::fb::AttrKey;
  RouteShape shape;
  shape.k = args.integer(AttrKey::k);
  shape.scores = plan::Scores{args.integer(AttrKey::scores)};
  shape.normalize = args.integer(AttrKey::normalize) != 0;
  shape.scale = args.real(AttrKey::scale);
  shape.groups = args.integer(AttrKey::groups, 1);
  shape.live = args.integer(AttrKey::live, 1);
  shape.best = args.integer(AttrKey::best, 1);
  shape.bias = args.vectorIfGiven(2);
  return shape;
}

template <class Context>
ExpertWeights expertWeights(const OperandArgs<Context>& args) {
  using plan::fb::AttrKey;
  ExpertWeights weights;
  weights.gate = args.weight(2);
  weights.up = args.weight(3);
  weights.down = args.weight(4);
  weights.gate_bias = args.vectorIfGiven(6);
  weights.up_bias = args.vectorIfGiven(7);
  weights.function = args.function();
  weights.limit = args.real(AttrKey::limit);
  weights.alpha = args.real(AttrKey::alpha);
  weights.scaled_inputs = args.integer(AttrKey::scaled_inputs) != 0;
  return weights;
}

}  // namespace dcc
