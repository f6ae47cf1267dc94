#include "runtime/backends/cpu/registry.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "runtime/backends/cpu/gemm.h"
#include "runtime/backends/plan_views.h"
#include "runtime/plan/access.h"

namespace dcc::cpu {
namespace {

using Args = OperandArgs<PrepareContext>;

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
  std::optional<LongFrequencies> beyond;
  if (args.has(fb::AttrKey::original_positions)) {
    beyond.emplace().original_positions = args.integer(fb::AttrKey::original_positions);
    if (args.given(4)) {
      beyond->beyond = context.constant(args.index(4));
    } else {
      beyond->theta = args.exact(fb::AttrKey::theta);
      beyond->factor = args.exact(fb::AttrKey::factor);
    }
  }
  const RotaryTable* table = context.rotary(args.index(2), args.real(fb::AttrKey::scale), beyond);
  return kernelOp([x = args.buffer(0), angles = table->view(), out = args.buffer(3),
                   head_dim = args.integer(fb::AttrKey::head_dim),
                   first = args.integer(fb::AttrKey::first),
                   interleaved = args.integer(fb::AttrKey::interleaved) != 0](StepState& s) {
    rope(*s.pool, x.at(s), angles, head_dim, first, interleaved, out.at(s));
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
  AttentionShape shape = attentionShape(args);
  shape.sinks = args.vectorIfGiven(3);
  shape.longest = context.longestSequence();
  return kernelOp([q, cache, shape, out = args.buffer(2)](StepState& s) {
    attention(*s.pool, q.at(s), cache, s.sequences(cache.group), shape, out.at(s), s.scratch);
  });
}

Op prepareSelfAttention(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  const AttentionShape shape = attentionShape(args);
  return kernelOp([q = args.buffer(0), k = args.buffer(1), v = args.buffer(2), shape,
                   out = args.buffer(3)](StepState& s) {
    selfAttention(*s.pool, q.at(s), k.at(s), v.at(s), s.step->starts, shape, out.at(s), s.scratch);
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
  const auto function = args.function();
  return kernelOp([x = args.buffer(0), out = args.buffer(1), function](StepState& s) {
    activation(*s.pool, function, x.at(s), out.at(s));
  });
}

Op prepareGatedActivation(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  const auto function = args.function();
  return kernelOp(
      [gate = args.buffer(0), up = args.buffer(1), out = args.buffer(2), function](StepState& s) {
        gatedActivation(*s.pool, function, gate.at(s), up.at(s), out.at(s));
      });
}

template <void (*kFunction)(const Matrix&, std::span<const int32_t>, const Matrix&)>
Op preparePool(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), out = args.buffer(1)](StepState& s) {
    kFunction(x.at(s), s.step->starts, out.at(s));
  });
}

Op prepareSliceColumns(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  std::vector<int64_t> ranges;
  for (uint64_t column : args.ranges()) {
    ranges.push_back(static_cast<int64_t>(column));
  }
  return kernelOp([x = args.buffer(0), out = args.buffer(1), ranges = std::move(ranges)](
                      StepState& s) { sliceColumns(x.at(s), ranges, out.at(s)); });
}

Op prepareSliceRows(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  const auto part = static_cast<int64_t>(args.ranges()[0]);
  const auto parts = static_cast<int64_t>(args.ranges()[1]);
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

Op prepareLayerNorm(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), weight = args.vector(1), out = args.buffer(2),
                   bias = args.vectorIfGiven(3), eps = args.real(fb::AttrKey::eps),
                   head_dim = args.integer(fb::AttrKey::head_dim)](StepState& s) {
    const Matrix rows = x.at(s);
    layerNorm(*s.pool, rows, weight, bias, eps, head_dim > 0 ? head_dim : rows.cols, out.at(s));
  });
}

Op prepareUnitNorm(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), out = args.buffer(1), eps = args.real(fb::AttrKey::eps),
                   head_dim = args.integer(fb::AttrKey::head_dim)](StepState& s) {
    unitNorm(*s.pool, x.at(s), eps, head_dim, out.at(s));
  });
}

template <void (*kFunction)(ThreadPool&, const Matrix&, float, const Matrix&), fb::AttrKey kKey>
Op prepareWithNumber(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), out = args.buffer(1), number = args.real(kKey)](
                      StepState& s) { kFunction(*s.pool, x.at(s), number, out.at(s)); });
}

Op prepareSliceHeads(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp(
      [x = args.buffer(0), out = args.buffer(1), head_dim = args.integer(fb::AttrKey::head_dim),
       first = args.integer(fb::AttrKey::first), size = args.integer(fb::AttrKey::size)](
          StepState& s) { sliceHeads(*s.pool, x.at(s), head_dim, first, size, out.at(s)); });
}

Op prepareExtendHeads(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), y = args.buffer(1), out = args.buffer(2),
                   head_dim = args.integer(fb::AttrKey::head_dim)](StepState& s) {
    extendHeads(*s.pool, x.at(s), y.at(s), head_dim, out.at(s));
  });
}

Op prepareTemperature(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  return kernelOp([x = args.buffer(0), positions = args.buffer(1), out = args.buffer(2),
                   scale = args.real(fb::AttrKey::scale),
                   floor = args.integer(fb::AttrKey::floor)](StepState& s) {
    temperature(*s.pool, x.at(s), positions.ints(), scale, floor, out.at(s));
  });
}

Op prepareRoute(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  const RouteShape shape = routeShape(args);
  return kernelOp([logits = args.buffer(0), out = args.buffer(1), shape](StepState& s) {
    route(*s.pool, logits.at(s), shape, out.at(s));
  });
}

Op prepareExperts(PrepareContext& context, const fb::Kernel& kernel) {
  const Args args(context, kernel);
  const BufferRef x = args.buffer(0), gates = args.buffer(1), out = args.buffer(5);
  Experts weights{expertWeights(args)};
  weights.chunks = args.integer(fb::AttrKey::chunks, 1);
  weights.groups = args.integer(fb::AttrKey::groups, 1);
  const int64_t room = context.maxSizes()[x.rows];
  return kernelOp([x, gates, out, weights, room](StepState& s) {
    experts(*s.pool, x.at(s), gates.at(s), weights, out.at(s), s.scratch, room);
  });
}

// Indexed by KernelKind.
constexpr PrepareKernel kKernels[] = {
    prepareEmbedding,                                  // embedding
    prepareRmsNorm,                                    // rms_norm
    prepareAddRmsNorm,                                 // add_rms_norm
    prepareRope,                                       // rope
    prepareKvWrite,                                    // kv_write
    prepareAttention,                                  // attention
    prepareBinary<add>,                                // add
    prepareActivation,                                 // activation
    prepareGatedActivation,                            // gated_activation
    preparePool<lastToken>,                            // last_token
    prepareSliceColumns,                               // slice_columns
    prepareAddBias,                                    // add_bias
    prepareBinary<mul>,                                // mul
    prepareSliceRows,                                  // slice_rows
    prepareLayerNorm,                                  // layer_norm
    prepareWithNumber<scale, fb::AttrKey::scale>,      // scale
    prepareBinary<scaleRows>,                          // scale_rows
    prepareWithNumber<softCap, fb::AttrKey::softcap>,  // soft_cap
    prepareSliceHeads,                                 // slice_heads
    prepareExtendHeads,                                // extend_heads
    prepareTemperature,                                // temperature
    prepareUnitNorm,                                   // unit_norm
    prepareRoute,                                      // route
    prepareExperts,                                    // experts
    prepareSelfAttention,                              // self_attention
    preparePool<firstToken>,                           // first_token
    preparePool<meanTokens>,                           // mean_tokens
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
  return kernelOp([a, weight, bias, chunks = gemm_.chunks(), out](StepState& s) {
    gemm(*s.pool, a.at(s), weight, bias, chunks, out.at(s), s.scratch);
  });
}

}  // namespace dcc::cpu
