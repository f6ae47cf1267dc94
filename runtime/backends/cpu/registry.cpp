#include "runtime/backends/cpu/registry.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "runtime/backends/cpu/gemm.h"
#include "runtime/plan/access.h"

namespace dcc::cpu {
namespace {

// A kernel's operands and attributes by their place in runtime/plan/kernels.h.
class Args {
 public:
  Args(PrepareContext& context, const fb::Kernel& kernel) : context_(context), kernel_(kernel) {}

  BufferRef buffer(uint32_t i) const { return context_.buffer(index(i)); }
  WeightView weight(uint32_t i) const { return context_.weight(index(i)); }
  const float* vector(uint32_t i) const { return context_.vector(index(i)); }
  CacheView cache(uint32_t i) const { return context_.cache(index(i)); }
  uint32_t index(uint32_t i) const { return kernel_.operands()->Get(i)->index(); }

  bool has(fb::AttrKey key) const { return find(key) != nullptr; }
  float real(fb::AttrKey key) const { return static_cast<float>(find(key)->f()); }
  double exact(fb::AttrKey key) const { return find(key)->f(); }
  int64_t integer(fb::AttrKey key, int64_t otherwise = 0) const {
    const fb::Attr* attr = find(key);
    return attr ? attr->i() : otherwise;
  }

 private:
  const fb::Attr* find(fb::AttrKey key) const {
    for (const fb::Attr* attr : plan::rows(kernel_.attrs())) {
      if (attr->key() == key) return attr;
    }
    return nullptr;
  }

  PrepareContext& context_;
  const fb::Kernel& kernel_;
};

Op prepareEmbedding(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([tokens = args.buffer(0), weight = args.weight(1), out = args.buffer(2)](
                      StepState& s) { embedding(*s.pool, tokens.ints(), weight, out.at(s)); });
}

Op prepareRmsNorm(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), weight = args.vector(1), out = args.buffer(2),
                   eps = args.real(fb::AttrKey::eps),
                   head_dim = args.integer(fb::AttrKey::head_dim)](StepState& s) {
    const Matrix rows = x.at(s);
    rmsNorm(*s.pool, rows, weight, eps, head_dim > 0 ? head_dim : rows.cols, out.at(s));
  });
}

Op prepareAddRmsNorm(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), y = args.buffer(1), weight = args.vector(2),
                   sum = args.buffer(3), out = args.buffer(4),
                   eps = args.real(fb::AttrKey::eps)](StepState& s) {
    addRmsNorm(*s.pool, x.at(s), y.at(s), weight, eps, sum.at(s), out.at(s));
  });
}

// Positions are the step's own (the only buffer of that storage), so the angles are computed from
// those, once for all layers.
Op prepareRope(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  std::optional<DynamicFrequencies> dynamic;
  if (args.has(fb::AttrKey::theta)) {
    dynamic = {args.exact(fb::AttrKey::theta), args.exact(fb::AttrKey::factor),
               args.integer(fb::AttrKey::original_positions)};
  }
  const RotaryTable* table = context.rotary(args.index(2), args.real(fb::AttrKey::scale), dynamic);
  return kernelOp([x = args.buffer(0), angles = table->view(), out = args.buffer(3),
                   head_dim = args.integer(fb::AttrKey::head_dim),
                   interleaved = args.integer(fb::AttrKey::interleaved) != 0](StepState& s) {
    rope(*s.pool, x.at(s), angles, head_dim, interleaved, out.at(s));
  });
}

Op prepareKvWrite(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([k = args.buffer(0), v = args.buffer(1), cache = args.cache(2)](StepState& s) {
    kvWrite(*s.pool, k.at(s), v.at(s), cache, s.sequences(cache.group));
  });
}

Op prepareAttention(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  const BufferRef q = args.buffer(0);
  const CacheView cache = args.cache(1);
  AttentionShape shape;
  shape.head_dim = args.integer(fb::AttrKey::head_dim);
  shape.scale = args.real(fb::AttrKey::scale);
  shape.window = args.integer(fb::AttrKey::window);
  return kernelOp([q, cache, shape, out = args.buffer(2)](StepState& s) {
    attention(*s.pool, q.at(s), cache, s.sequences(cache.group), shape, out.at(s), s.scratch);
  });
}

template <void (*kFunction)(ThreadPool&, const Matrix&, const Matrix&, const Matrix&)>
Op prepareBinary(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), y = args.buffer(1), out = args.buffer(2)](StepState& s) {
    kFunction(*s.pool, x.at(s), y.at(s), out.at(s));
  });
}

Op prepareActivation(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  const auto function = plan::Function{args.integer(fb::AttrKey::function)};
  return kernelOp([x = args.buffer(0), out = args.buffer(1), function](StepState& s) {
    activation(*s.pool, function, x.at(s), out.at(s));
  });
}

Op prepareGatedActivation(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  const auto function = plan::Function{args.integer(fb::AttrKey::function)};
  return kernelOp(
      [gate = args.buffer(0), up = args.buffer(1), out = args.buffer(2), function](StepState& s) {
        gatedActivation(*s.pool, function, gate.at(s), up.at(s), out.at(s));
      });
}

Op prepareLastToken(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), out = args.buffer(1)](StepState& s) {
    lastToken(x.at(s), s.step->starts, out.at(s));
  });
}

Op prepareSliceColumns(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  std::vector<int64_t> ranges;
  for (uint64_t column : plan::rows(kernel.ranges())) {
    ranges.push_back(static_cast<int64_t>(column));
  }
  return kernelOp([x = args.buffer(0), out = args.buffer(1), ranges = std::move(ranges)](
                      StepState& s) { sliceColumns(x.at(s), ranges, out.at(s)); });
}

Op prepareSliceRows(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  const auto part = static_cast<int64_t>(kernel.ranges()->Get(0));
  const auto parts = static_cast<int64_t>(kernel.ranges()->Get(1));
  return kernelOp([x = args.buffer(0), out = args.buffer(1), part, parts](StepState& s) {
    sliceRows(x.at(s), part, parts, out.at(s));
  });
}

Op prepareAddBias(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), bias = args.vector(1), out = args.buffer(2)](StepState& s) {
    addBias(*s.pool, x.at(s), bias, out.at(s));
  });
}

// Indexed by KernelKind.
constexpr PrepareKernel kKernels[] = {
    prepareEmbedding,        // embedding
    prepareRmsNorm,          // rms_norm
    prepareAddRmsNorm,       // add_rms_norm
    prepareRope,             // rope
    prepareKvWrite,          // kv_write
    prepareAttention,        // attention
    prepareBinary<add>,      // add
    prepareActivation,       // activation
    prepareGatedActivation,  // gated_activation
    prepareLastToken,        // last_token
    prepareSliceColumns,     // slice_columns
    prepareAddBias,          // add_bias
    prepareBinary<mul>,      // mul
    prepareSliceRows,        // slice_rows
};

}  // namespace

PrepareKernel findKernel(fb::KernelKind kind) {
  const auto index = static_cast<size_t>(kind);
  return index < std::size(kKernels) ? kKernels[index] : nullptr;
}

Op prepareGemm(PrepareContext& context, const fb::Gemm& gemm_) {
  const BufferRef a = context.buffer(gemm_.a()), out = context.buffer(gemm_.out());
  const WeightView weight = context.weight(gemm_.weight());
  const float* bias = gemm_.bias() >= 0 ? context.vector(gemm_.bias()) : nullptr;
  return kernelOp([a, weight, bias, out](StepState& s) {
    gemm(*s.pool, a.at(s), weight, bias, out.at(s), s.scratch);
  });
}

}  // namespace dcc::cpu
