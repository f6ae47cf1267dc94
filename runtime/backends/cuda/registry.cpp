// Every kernel's op, from its operands and attributes.
#include <algorithm>
#include <iterator>

#include "runtime/backends/cuda/op.h"

namespace dcc::cuda {
namespace {

using fb::AttrKey;

Result<Op> prepareEmbedding(const Args& args) {
  return kernelOp([tokens = args.buffer(0), weight = args.weight(1), out = args.buffer(2)](
                      const StepState& s) { embedding(s.on, tokens.ints(s), weight, out.at(s)); });
}

// User error of a norm over more columns than its kernel holds: those of a row, or head_dim.
Status checkNorm(const Args& args) {
  const int64_t head_dim = args.integer(AttrKey::head_dim, 0);
  const int64_t columns = head_dim > 0 ? head_dim : args.buffer(0).matrix.cols;
  if (columns <= kNormColumns) return Status::success();
  return userError("cuda: a norm over " + std::to_string(columns) + " columns; over up to " +
                   std::to_string(kNormColumns) + " there are, and --device cpu has all");
}

Result<Op> prepareRmsNorm(const Args& args) {
  DCC_RETURN_IF_ERROR(checkNorm(args));
  return kernelOp([x = args.buffer(0), weight = args.vector(1), out = args.buffer(2),
                   eps = args.real(AttrKey::eps),
                   head_dim = args.integer(AttrKey::head_dim)](const StepState& s) {
    const Matrix rows = x.at(s);
    rmsNorm(s.on, rows, weight, eps, head_dim > 0 ? head_dim : rows.cols, out.at(s));
  });
}

Result<Op> prepareAddRmsNorm(const Args& args) {
  DCC_RETURN_IF_ERROR(checkNorm(args));
  return kernelOp([x = args.buffer(0), y = args.buffer(1), weight = args.vector(2),
                   sum = args.buffer(3), out = args.buffer(4),
                   eps = args.real(AttrKey::eps)](const StepState& s) {
    addRmsNorm(s.on, x.at(s), y.at(s), weight, eps, sum.at(s), out.at(s));
  });
}

Result<Op> prepareUnitNorm(const Args& args) {
  DCC_RETURN_IF_ERROR(checkNorm(args));
  return kernelOp([x = args.buffer(0), out = args.buffer(1), eps = args.real(AttrKey::eps),
                   head_dim = args.integer(AttrKey::head_dim)](const StepState& s) {
    unitNorm(s.on, x.at(s), eps, head_dim, out.at(s));
  });
}

Result<Op> prepareLayerNorm(const Args& args) {
  DCC_RETURN_IF_ERROR(checkNorm(args));
  return kernelOp([x = args.buffer(0), weight = args.vector(1), out = args.buffer(2),
                   bias = args.vectorIfGiven(3), eps = args.real(AttrKey::eps),
                   head_dim = args.integer(AttrKey::head_dim)](const StepState& s) {
    const Matrix rows = x.at(s);
    layerNorm(s.on, rows, weight, bias, eps, head_dim > 0 ? head_dim : rows.cols, out.at(s));
  });
}

Result<Op> prepareRope(const Args& args) {
  DCC_ASSIGN(const RopeShape shape, ropeShape(args));
  return kernelOp([x = args.buffer(0), out = args.buffer(3), shape](const StepState& s) {
    rope(s.on, x.at(s), s.step, shape, out.at(s));
  });
}

Result<Op> prepareKvWrite(const Args& args) {
  return kernelOp(
      [k = args.buffer(0), v = args.buffer(1), cache = args.cache(2)](const StepState& s) {
        kvWrite(s.on, k.at(s), v.at(s), cache, s.step, s.pages[cache.group]);
      });
}

Result<Op> prepareAttention(const Args& args) {
  const BufferRef q = args.buffer(0);
  const CacheView cache = args.cache(1);
  AttentionShape shape = attentionShape(args);
  shape.sinks = args.vectorIfGiven(3);
  PrepareContext& context = args.context();
  shape.longest = context.longestSequence();
  context.needScratch(
      attentionScratchBytes(context.maxSequences(), q.matrix.cols / shape.head_dim, cache, shape));
  return kernelOp([q, cache, shape, out = args.buffer(2)](const StepState& s) {
    const auto run = s.step.T == s.step.B ? decodeAttention : attention;
    run(s.on, q.at(s), cache, s.step, s.pages[cache.group], shape, out.at(s), s.scratch);
  });
}

Result<Op> prepareSelfAttention(const Args& args) {
  return kernelOp([q = args.buffer(0), k = args.buffer(1), v = args.buffer(2),
                   shape = attentionShape(args), out = args.buffer(3)](const StepState& s) {
    selfAttention(s.on, q.at(s), k.at(s), v.at(s), s.step, shape, out.at(s));
  });
}

template <void (*kFunction)(const Launch&, const Matrix&, const Matrix&, const Matrix&)>
Result<Op> prepareBinary(const Args& args) {
  return kernelOp([x = args.buffer(0), y = args.buffer(1), out = args.buffer(2)](
                      const StepState& s) { kFunction(s.on, x.at(s), y.at(s), out.at(s)); });
}

template <void (*kFunction)(const Launch&, const Matrix&, float, const Matrix&), AttrKey kNumber>
Result<Op> prepareByNumber(const Args& args) {
  return kernelOp([x = args.buffer(0), out = args.buffer(1), number = args.real(kNumber)](
                      const StepState& s) { kFunction(s.on, x.at(s), number, out.at(s)); });
}

template <void (*kFunction)(const Launch&, const Matrix&, const StepView&, const Matrix&)>
Result<Op> preparePool(const Args& args) {
  return kernelOp([x = args.buffer(0), out = args.buffer(1)](const StepState& s) {
    kFunction(s.on, x.at(s), s.step, out.at(s));
  });
}

Result<Op> prepareActivation(const Args& args) {
  return kernelOp([x = args.buffer(0), out = args.buffer(1), function = args.function()](
                      const StepState& s) { activation(s.on, function, x.at(s), out.at(s)); });
}

Result<Op> prepareGatedActivation(const Args& args) {
  return kernelOp([gate = args.buffer(0), up = args.buffer(1), out = args.buffer(2),
                   function = args.function()](const StepState& s) {
    gatedActivation(s.on, function, gate.at(s), up.at(s), out.at(s));
  });
}

Result<Op> prepareTemperature(const Args& args) {
  return kernelOp([x = args.buffer(0), out = args.buffer(2), by = args.real(AttrKey::scale),
                   floor = args.integer(AttrKey::floor)](const StepState& s) {
    temperature(s.on, x.at(s), s.step.positions, by, floor, out.at(s));
  });
}

Result<Op> prepareAddBias(const Args& args) {
  return kernelOp([x = args.buffer(0), bias = args.vector(1), out = args.buffer(2)](
                      const StepState& s) { addBias(s.on, x.at(s), bias, out.at(s)); });
}

Result<Op> prepareSliceColumns(const Args& args) {
  std::vector<int64_t> ranges;
  for (const uint64_t column : args.ranges()) {
    ranges.push_back(static_cast<int64_t>(column));
  }
  return kernelOp([x = args.buffer(0), out = args.buffer(1), ranges](const StepState& s) {
    Matrix to = out.at(s);
    for (size_t i = 0; i + 1 < ranges.size(); i += 2) {
      to.cols = ranges[i + 1] - ranges[i];
      sliceColumns(s.on, x.at(s), ranges[i], to);
      to.data = to.at(0, to.cols);
    }
  });
}

Result<Op> prepareSliceRows(const Args& args) {
  const auto part = static_cast<int64_t>(args.ranges()[0]);
  const auto parts = static_cast<int64_t>(args.ranges()[1]);
  return kernelOp([x = args.buffer(0), out = args.buffer(1), part, parts](const StepState& s) {
    sliceRows(s.on, x.at(s), part, parts, out.at(s));
  });
}

Result<Op> prepareSliceHeads(const Args& args) {
  return kernelOp([x = args.buffer(0), out = args.buffer(1),
                   head_dim = args.integer(AttrKey::head_dim), first = args.integer(AttrKey::first),
                   size = args.integer(AttrKey::size)](const StepState& s) {
    sliceHeads(s.on, x.at(s), head_dim, first, size, out.at(s));
  });
}

Result<Op> prepareExtendHeads(const Args& args) {
  return kernelOp([x = args.buffer(0), y = args.buffer(1), out = args.buffer(2),
                   head_dim = args.integer(AttrKey::head_dim)](const StepState& s) {
    extendHeads(s.on, x.at(s), y.at(s), head_dim, out.at(s));
  });
}

Result<Op> prepareRoute(const Args& args) {
  if (const int64_t experts = args.buffer(0).matrix.cols; experts > kRouteExperts) {
    return userError("cuda: " + std::to_string(experts) + " experts; up to " +
                     std::to_string(kRouteExperts) + " can be routed to, by --device cpu more");
  }
  const RouteShape shape = routeShape(args);
  return kernelOp([x = args.buffer(0), out = args.buffer(1), shape](const StepState& s) {
    // Rows may be a part of the step's, of which none is padding where the step has none.
    const Matrix rows = x.at(s);
    route(s.on, rows, shape, rows.rows == s.step.T ? s.live_tokens : nullptr, out.at(s));
  });
}

// How many experts a row is sent to at most, by any route of the entry; 0 where none says.
int64_t mostChosen(const fb::Entry& entry) {
  int64_t most = 0;
  for (const fb::Instruction* instruction : plan::rows(entry.instructions())) {
    const fb::Kernel* kernel = instruction->body_as_Kernel();
    if (kernel == nullptr || kernel->kind() != fb::KernelKind::route) continue;
    most = std::max(most, KernelArgs(*kernel).integer(AttrKey::k));
  }
  return most;
}

Result<Op> prepareExperts(const Args& args) {
  Experts weights{expertWeights(args)};
  weights.chosen = mostChosen(args.context().entry());
  const BufferRef x = args.buffer(0), gates = args.buffer(1), out = args.buffer(5);
  PrepareContext& context = args.context();
  context.needScratch(expertsScratchBytes(context.maxRows(x), weights.down.cols, out.matrix.cols,
                                          gates.matrix.cols, weights.chosen));
  return kernelOp([x, gates, weights, out](const StepState& s) {
    experts(s.on, x.at(s), gates.at(s), weights, out.at(s), s.scratch);
  });
}

struct Row {
  fb::KernelKind kind;
  PrepareKernel prepare;
};

constexpr Row kRows[] = {
    {fb::KernelKind::embedding, prepareEmbedding},
    {fb::KernelKind::rms_norm, prepareRmsNorm},
    {fb::KernelKind::add_rms_norm, prepareAddRmsNorm},
    {fb::KernelKind::unit_norm, prepareUnitNorm},
    {fb::KernelKind::layer_norm, prepareLayerNorm},
    {fb::KernelKind::rope, prepareRope},
    {fb::KernelKind::kv_write, prepareKvWrite},
    {fb::KernelKind::attention, prepareAttention},
    {fb::KernelKind::self_attention, prepareSelfAttention},
    {fb::KernelKind::add, prepareBinary<add>},
    {fb::KernelKind::mul, prepareBinary<mul>},
    {fb::KernelKind::scale_rows, prepareBinary<scaleRows>},
    {fb::KernelKind::scale, prepareByNumber<scale, AttrKey::scale>},
    {fb::KernelKind::soft_cap, prepareByNumber<softCap, AttrKey::softcap>},
    {fb::KernelKind::activation, prepareActivation},
    {fb::KernelKind::gated_activation, prepareGatedActivation},
    {fb::KernelKind::temperature, prepareTemperature},
    {fb::KernelKind::add_bias, prepareAddBias},
    {fb::KernelKind::last_token, preparePool<lastToken>},
    {fb::KernelKind::first_token, preparePool<firstToken>},
    {fb::KernelKind::mean_tokens, preparePool<meanTokens>},
    {fb::KernelKind::slice_columns, prepareSliceColumns},
    {fb::KernelKind::slice_rows, prepareSliceRows},
    {fb::KernelKind::slice_heads, prepareSliceHeads},
    {fb::KernelKind::extend_heads, prepareExtendHeads},
    {fb::KernelKind::route, prepareRoute},
    {fb::KernelKind::experts, prepareExperts},
};

}  // namespace

Result<RopeShape> ropeShape(const Args& args) {
  RopeShape shape;
  DCC_ASSIGN(shape.frequencies, args.context().constant(args.index(2)));
  shape.half = args.context().constantSize(args.index(2));
  shape.scale = args.real(AttrKey::scale);
  if (args.has(AttrKey::original_positions)) {
    shape.original_positions = args.integer(AttrKey::original_positions);
    if (args.given(4)) {
      DCC_ASSIGN(shape.beyond, args.context().constant(args.index(4)));
    } else {
      shape.theta = args.exact(AttrKey::theta);
      shape.factor = args.exact(AttrKey::factor);
    }
  }
  shape.head_dim = args.integer(AttrKey::head_dim);
  shape.first = args.integer(AttrKey::first);
  shape.interleaved = args.integer(AttrKey::interleaved) != 0;
  return shape;
}

PrepareKernel findKernel(fb::KernelKind kind) {
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                 [&](const Row& r) { return r.kind == kind; });
  return row == std::end(kRows) ? nullptr : row->prepare;
}

}  // namespace dcc::cuda
