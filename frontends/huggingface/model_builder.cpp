#include "frontends/huggingface/model_builder.h"

#include <cmath>

using namespace mlir;

namespace dcc::huggingface {

static Type mlirType(MLIRContext* context, DType type) {
  switch (type) {
    case DType::kBF16:
      return BFloat16Type::get(context);
    case DType::kF16:
      return Float16Type::get(context);
    default:
      return Float32Type::get(context);
  }
}

ModelBuilder::ModelBuilder(ModuleOp module, TensorSource& tensors, DType compute)
    : tensors_(tensors),
      builder_(module.getContext()),
      symbolBuilder_(OpBuilder::atBlockBegin(module.getBody())),
      module_(module),
      compute_(mlirType(module.getContext(), compute)) {}

Location ModelBuilder::at(const std::string& module) {
  return NameLoc::get(builder_.getStringAttr(module));
}

nn::TensorType ModelBuilder::like(Value x, int64_t columns, Type element) {
  auto type = cast<nn::TensorType>(x.getType());
  return nn::TensorType::get(
      type.getContext(), {type.getDims()[0], nn::sizeAttr(type.getContext(), columns)}, element);
}

int64_t ModelBuilder::columns(Value x) { return cast<nn::TensorType>(x.getType()).constant(1); }

void AttentionSpec::setHeadDim(int64_t size) {
  head_dim = size;
  scale = 1.0 / std::sqrt(double(size));
}

// ---- entries -----------------------------------------------------------------------------------

void ModelBuilder::beginEntry(const EntrySpec& spec) {
  last_only_ = spec.last_only;
  MLIRContext* context = builder_.getContext();
  builder_.setInsertionPointToEnd(module_.getBody());
  Type ids =
      nn::TensorType::get(context, {builder_.getStringAttr("T")}, IntegerType::get(context, 32));
  SmallVector<Type> inputs(spec.types ? 3 : 2, ids);
  entry_ = builder_.create<func::FuncOp>(at(std::string(spec.name)), StringRef(spec.name),
                                         builder_.getFunctionType(inputs, {}));
  entry_->setAttr("nn.bounds",
                  builder_.getDictionaryAttr(
                      {{builder_.getStringAttr("B"), builder_.getI64IntegerAttr(spec.seqs)},
                       {builder_.getStringAttr("T"), builder_.getI64IntegerAttr(spec.tokens)}}));
  if (symbols_.empty())
    symbolBuilder_.setInsertionPoint(entry_);  // symbols stand before the entries
  builder_.setInsertionPointToStart(entry_.addEntryBlock());
}

void ModelBuilder::endEntry(const std::vector<NamedValue>& results) {
  SmallVector<Value> values;
  SmallVector<Attribute> names;
  for (const NamedValue& result : results) {
    values.push_back(result.value);
    names.push_back(builder_.getStringAttr(result.name));
  }
  builder_.create<func::ReturnOp>(entry_.getLoc(), values);
  entry_.setType(builder_.getFunctionType(entry_.getArgumentTypes(), TypeRange(values)));
  entry_->setAttr("nn.outputs", builder_.getArrayAttr(names));
}

// ---- symbols -----------------------------------------------------------------------------------

std::string ModelBuilder::inCheckpoint(const std::string& tensor) const {
  if (tensors_.has(tensor)) return tensor;
  for (const auto& [now, before] : older_names_) {
    const size_t at = tensor.find(now);
    if (at == std::string::npos) continue;
    std::string older = tensor;
    older.replace(at, now.size(), before);
    if (tensors_.has(older)) return older;
  }
  return tensor;
}

// Null, and the error kept, where there is no such tensor.
nn::SourceAttr ModelBuilder::source(const TensorView& view) {
  const std::string name = inCheckpoint(view.tensor);
  Result<const CheckpointTensor*> found =
      tensors_.require(name, std::vector<uint64_t>(view.stored.begin(), view.stored.end()));
  if (!found.ok()) {
    if (status_.ok()) status_ = found.error();
    return {};
  }
  const CheckpointTensor& stored = **found;
  const DType type = *parseDType(stored.dtype);
  int64_t offset = stored.offset;
  nn::EncodingAttr encoding;
  if (const auto& e = stored.encoding) {
    encoding = nn::EncodingAttr::get(builder_.getContext(), builder_.getStringAttr(e->kind),
                                     view.first, e->columns, e->block_rows, e->block_columns,
                                     e->scales_file, e->scales_offset);
  } else {
    offset += view.first * int64_t(byteSize(type));
  }
  return nn::SourceAttr::get(builder_.getContext(), builder_.getStringAttr(name), stored.file,
                             offset, view.shape.empty() ? view.stored : view.shape,
                             mlirType(builder_.getContext(), type), view.strides, encoding);
}

FlatSymbolRefAttr ModelBuilder::weight(const WeightSpec& spec) {
  auto ref = FlatSymbolRefAttr::get(builder_.getContext(), spec.name);
  if (symbols_.contains(spec.name)) return ref;
  SmallVector<Attribute> sources;
  std::vector<TensorView> whole;
  if (spec.views.empty()) whole.push_back({.tensor = spec.name, .stored = spec.shape});
  for (const TensorView& view : spec.views.empty() ? whole : spec.views) {
    nn::SourceAttr source = this->source(view);
    if (!source) return ref;
    sources.push_back(source);
  }
  Type element = cast<nn::SourceAttr>(sources.front()).getType();
  SmallVector<Attribute> dims;
  for (int64_t size : spec.shape) dims.push_back(nn::sizeAttr(builder_.getContext(), size));
  // Matrices keep the checkpoint's type in f32 arithmetic, which loses nothing; otherwise they are
  // rounded like the activations. Vectors cost nothing and are read as f32.
  bool vector = spec.vector || spec.shape.size() == 1;
  Type held = vector ? Type(f32()) : compute_.isF32() ? element : compute_;
  symbols_[spec.name] = symbolBuilder_.create<nn::WeightOp>(
      at(spec.name.substr(0, spec.name.rfind('.'))), builder_.getStringAttr(spec.name),
      TypeAttr::get(nn::TensorType::get(builder_.getContext(), dims, held)), TypeAttr(),
      spec.heads ? builder_.getI64IntegerAttr(*spec.heads) : IntegerAttr(),
      spec.shared ? builder_.getUnitAttr() : UnitAttr(),
      spec.plus != 0 ? builder_.getF32FloatAttr(spec.plus) : FloatAttr(),
      builder_.getArrayAttr(sources), StringAttr());
  return ref;
}

FlatSymbolRefAttr ModelBuilder::cache(const std::string& name, const AttentionSpec& spec) {
  if (!symbols_.contains(name)) {
    symbols_[name] = symbolBuilder_.create<nn::CacheOp>(
        at(name), name, spec.kv_heads, spec.head_dim, spec.valueDim(), compute_,
        spec.window  ? "window_" + std::to_string(spec.window)
        : spec.chunk ? "chunk_" + std::to_string(spec.chunk)
                     : "full",
        // Of a chunk a token sees at most all.
        positive(spec.window ? spec.window : spec.chunk));
  }
  return FlatSymbolRefAttr::get(builder_.getContext(), name);
}

void ModelBuilder::frequencies(std::string_view name, const Rope& rope) {
  mlir::Operation*& symbol = symbols_[name];
  if (symbol) return;
  DenseF64ArrayAttr dynamic;
  if (rope.dynamic) {
    dynamic = builder_.getDenseF64ArrayAttr(
        {rope.dynamic->theta, rope.dynamic->factor, double(rope.dynamic->original_positions)});
  }
  DenseF32ArrayAttr beyond;
  if (!rope.beyond.empty()) beyond = builder_.getDenseF32ArrayAttr(rope.beyond);
  IntegerAttr original = builder_.getI64IntegerAttr(rope.original_positions);
  symbol = symbolBuilder_.create<nn::FrequenciesOp>(
      at(std::string(name)), builder_.getStringAttr(StringRef(name)),
      builder_.getDenseF32ArrayAttr(rope.frequencies), builder_.getF32FloatAttr(rope.scale),
      dynamic, beyond ? original : IntegerAttr(), beyond);
}

// ---- layers ------------------------------------------------------------------------------------

// None where it is 0.
IntegerAttr ModelBuilder::positive(int64_t value) {
  return value > 0 ? builder_.getI64IntegerAttr(value) : IntegerAttr();
}

// The tensor's name, unless it is given.
static std::string named(const std::string& given, const std::string& otherwise) {
  return given.empty() ? otherwise : given;
}

Value ModelBuilder::embedding(const std::string& module, Value tokens, int64_t vocabulary,
                              int64_t hidden, const std::string& tensor) {
  auto type = cast<nn::TensorType>(tokens.getType());
  auto result = nn::TensorType::get(
      type.getContext(), {type.getDims()[0], nn::sizeAttr(type.getContext(), hidden)}, f32());
  return builder_.create<nn::EmbeddingOp>(
      at(module), result, tokens, weight(named(tensor, module + ".weight"), {vocabulary, hidden}));
}

Value ModelBuilder::positionEmbedding(const std::string& module, int64_t rows, int64_t first,
                                      int64_t hidden) {
  auto type = cast<nn::TensorType>(positions().getType());
  auto result = nn::TensorType::get(
      type.getContext(), {type.getDims()[0], nn::sizeAttr(type.getContext(), hidden)}, f32());
  const std::string name = module + ".weight";
  const std::vector<int64_t> shape{rows - first, hidden};
  return builder_.create<nn::EmbeddingOp>(
      at(module), result, positions(),
      weight({.name = name,
              .shape = shape,
              .views = {{name, {rows, hidden}, shape, {}, first * hidden}}}));
}

Value ModelBuilder::linear(const std::string& module, Value x, int64_t out,
                           const LinearOptions& options) {
  Value y =
      builder_.create<nn::LinearOp>(at(module), like(x, out, options.sum ? f32() : compute_), x,
                                    weight({.name = named(options.weight, module + ".weight"),
                                            .shape = {out, columns(x)},
                                            .views = options.views,
                                            .heads = options.heads,
                                            .shared = options.shared}),
                                    FlatSymbolRefAttr(), IntegerAttr());
  if (!options.bias) return y;
  return builder_.create<nn::AddBiasOp>(
      at(module), y.getType(), y,
      weight({.name = named(options.bias_tensor, module + ".bias"),
              .shape = {out},
              .heads = options.heads,
              .shared = options.shared}));
}

Value ModelBuilder::rmsNorm(const std::string& module, Value x, double eps,
                            const std::string& tensor, float plus) {
  return builder_.create<nn::RmsNormOp>(
      at(module), like(x, columns(x), compute_), x,
      weight({.name = named(tensor, module + ".weight"), .shape = {columns(x)}, .plus = plus}),
      builder_.getF64FloatAttr(eps));
}

Value ModelBuilder::layerNorm(const std::string& module, Value x, double eps, bool bias,
                              float plus) {
  return layerNorm(module, x, eps, module + ".weight", bias ? module + ".bias" : "", plus);
}

Value ModelBuilder::layerNorm(const std::string& module, Value x, double eps,
                              const std::string& tensor, const std::string& bias, float plus) {
  return builder_.create<nn::LayerNormOp>(
      at(module), like(x, columns(x), compute_), x,
      weight({.name = tensor, .shape = {columns(x)}, .plus = plus}),
      bias.empty() ? FlatSymbolRefAttr() : weight(bias, {columns(x)}),
      builder_.getF64FloatAttr(eps));
}

Value ModelBuilder::headNorm(const std::string& module, Value x, int64_t head_dim, double eps,
                             const std::string& tensor, float plus) {
  return builder_.create<nn::HeadNormOp>(
      at(module), x.getType(), x,
      weight({.name = named(tensor, module + ".weight"), .shape = {head_dim}, .plus = plus}),
      builder_.getI64IntegerAttr(head_dim), builder_.getF64FloatAttr(eps));
}

Value ModelBuilder::unitNorm(const std::string& module, Value x, int64_t head_dim, double eps) {
  return builder_.create<nn::HeadNormOp>(at(module), x.getType(), x, FlatSymbolRefAttr(),
                                         builder_.getI64IntegerAttr(head_dim),
                                         builder_.getF64FloatAttr(eps));
}

Value ModelBuilder::headLayerNorm(const std::string& module, Value x, int64_t head_dim, double eps,
                                  bool shared) {
  const int64_t heads = columns(x) / head_dim;
  return builder_.create<nn::HeadLayerNormOp>(at(module), x.getType(), x,
                                              weight({.name = module + ".weight",
                                                      .shape = {heads, head_dim},
                                                      .heads = heads,
                                                      .shared = shared,
                                                      .vector = true}),
                                              builder_.getI64IntegerAttr(head_dim),
                                              builder_.getF64FloatAttr(eps));
}

Value ModelBuilder::rope(const std::string& module, Value x, std::string_view frequencies,
                         int64_t head_dim, bool interleaved, int64_t first) {
  return builder_.create<nn::RopeOp>(
      at(module), x.getType(), x, positions(),
      FlatSymbolRefAttr::get(builder_.getContext(), StringRef(frequencies)),
      builder_.getI64IntegerAttr(head_dim), positive(first),
      interleaved ? builder_.getUnitAttr() : UnitAttr());
}

Value ModelBuilder::sliceHeads(const std::string& module, Value x, int64_t head_dim, int64_t first,
                               int64_t size) {
  Type element = cast<nn::TensorType>(x.getType()).getElementType();
  return builder_.create<nn::SliceHeadsOp>(
      at(module), like(x, columns(x) / head_dim * size, element), x,
      builder_.getI64IntegerAttr(head_dim), builder_.getI64IntegerAttr(first),
      builder_.getI64IntegerAttr(size));
}

Value ModelBuilder::extendHeads(const std::string& module, Value x, Value y, int64_t head_dim) {
  Type element = cast<nn::TensorType>(x.getType()).getElementType();
  const int64_t out = columns(x) / head_dim * (head_dim + columns(y));
  return builder_.create<nn::ExtendHeadsOp>(at(module), like(x, out, element), x, y,
                                            builder_.getI64IntegerAttr(head_dim));
}

Value ModelBuilder::temperature(const std::string& module, Value x, double scale, int64_t floor) {
  return builder_.create<nn::TemperatureOp>(at(module), x.getType(), x, positions(),
                                            builder_.getF64FloatAttr(scale),
                                            builder_.getI64IntegerAttr(floor));
}

Value ModelBuilder::attend(const std::string& module, Value q, Value k, Value v,
                           const AttentionSpec& spec) {
  Type element = cast<nn::TensorType>(q.getType()).getElementType();
  return builder_.create<nn::AttentionOp>(
      at(module), like(q, spec.heads * spec.valueDim(), element), q, k, v,
      spec.whole ? FlatSymbolRefAttr() : cache(module + ".cache", spec),
      spec.sinks ? weight({.name = named(spec.sinks_tensor, module + ".sinks"),
                           .shape = {spec.heads},
                           .heads = spec.heads})
                 : FlatSymbolRefAttr(),
      builder_.getI64IntegerAttr(spec.head_dim), builder_.getI64IntegerAttr(spec.valueDim()),
      builder_.getF64FloatAttr(spec.scale),
      spec.softcap > 0 ? builder_.getF64FloatAttr(spec.softcap) : FloatAttr(),
      positive(spec.window), positive(spec.chunk), ArrayAttr());
}

Value ModelBuilder::attention(const std::string& module, Value x, const AttentionSpec& spec,
                              std::string_view frequencies) {
  if (spec.packed) {
    const int64_t q = spec.heads * spec.head_dim, kv = spec.kv_heads * spec.head_dim;
    LinearOptions options{
        .bias = spec.bias, .heads = spec.heads + 2 * spec.kv_heads, .shared = true};
    Value qkv = linear(module + ".qkv_proj", x, q + 2 * kv, options);
    std::vector<Value> parts = split(module + ".qkv_proj", qkv, {q, kv, kv});
    return attention(module, parts[0], parts[1], parts[2], spec, frequencies);
  }
  auto project = [&](const char* name, int64_t heads, bool shared) {
    // What ranks have of the heads that one norm spans is gathered first, and collectives are f32.
    const bool gathered = spec.head_norm == AttentionSpec::HeadNorm::kAllRms;
    LinearOptions options{.bias = spec.bias, .sum = gathered, .heads = heads, .shared = shared};
    return linear(module + name, x, heads * spec.head_dim, options);
  };
  Value q = project(".q_proj", spec.heads, false);
  Value k = project(".k_proj", spec.kv_heads, true);
  Value v = project(".v_proj", spec.kv_heads, true);
  return attention(module, q, k, v, spec, frequencies);
}

Value ModelBuilder::attention(const std::string& module, Value q, Value k, Value v,
                              const AttentionSpec& spec, std::string_view frequencies) {
  if (spec.head_norm == AttentionSpec::HeadNorm::kRms) {
    q = headNorm(module + ".q_norm", q, spec.head_dim, spec.eps, {}, spec.norm_plus);
    k = headNorm(module + ".k_norm", k, spec.head_dim, spec.eps, {}, spec.norm_plus);
  } else if (spec.head_norm == AttentionSpec::HeadNorm::kLayer) {
    q = headLayerNorm(module + ".q_norm", q, spec.head_dim, spec.eps, false);
    k = headLayerNorm(module + ".k_norm", k, spec.head_dim, spec.eps, true);
  } else if (spec.head_norm == AttentionSpec::HeadNorm::kAllRms) {
    q = rmsNorm(module + ".q_norm", q, spec.eps);
    k = rmsNorm(module + ".k_norm", k, spec.eps);
  }
  if (spec.rotates) {
    q = rope(module, q, frequencies, spec.head_dim, spec.interleaved);
    k = rope(module, k, frequencies, spec.head_dim, spec.interleaved);
  }
  return linear(module + spec.output, attend(module, q, k, v, spec), spec.hidden,
                {.bias = spec.output_bias, .sum = true});
}

Value ModelBuilder::gatedMlp(const std::string& module, Value x, int64_t intermediate,
                             std::string_view function, bool bias, bool packed) {
  const LinearOptions in{.bias = bias};
  Value gate, up;
  if (packed) {
    Value both = linear(module + ".gate_up_proj", x, 2 * intermediate, in);
    std::vector<Value> parts = split(module + ".gate_up_proj", both, {intermediate, intermediate});
    gate = parts[0];
    up = parts[1];
  } else {
    gate = linear(module + ".gate_proj", x, intermediate, in);
    up = linear(module + ".up_proj", x, intermediate, in);
  }
  Value product = mul(module, activation(module + ".act_fn", function, gate), up);
  return linear(module + ".down_proj", product, columns(x), {.bias = bias, .sum = true});
}

Value ModelBuilder::mlp(const std::string& module, Value x, int64_t intermediate,
                        std::string_view function, bool bias, const char* up, const char* down) {
  Value hidden = linear(module + up, x, intermediate, {.bias = bias});
  hidden = activation(module + ".act", function, hidden);
  return linear(module + down, hidden, columns(x), {.bias = bias, .sum = true});
}

Value ModelBuilder::route(const std::string& module, Value logits, const RouteSpec& spec) {
  return builder_.create<nn::RouteOp>(
      at(module), like(logits, columns(logits), f32()), logits,
      spec.bias.empty() ? FlatSymbolRefAttr() : weight(spec.bias, {columns(logits)}),
      builder_.getI64IntegerAttr(spec.k), builder_.getStringAttr(spec.scores),
      spec.normalize ? builder_.getUnitAttr() : UnitAttr(),
      spec.scale != 1 ? builder_.getF64FloatAttr(spec.scale) : FloatAttr(), positive(spec.groups),
      positive(spec.live), positive(spec.best));
}

Value ModelBuilder::experts(const std::string& module, Value x, Value gates,
                            const ExpertsSpec& spec) {
  const int64_t n = spec.experts, hidden = columns(x);
  auto matrices = [&](const char* name, int64_t rows, int64_t cols,
                      const std::vector<TensorView>& views) {
    return weight({.name = module + name, .shape = {n, rows, cols}, .views = views});
  };
  auto biases = [&](const char* name, const std::vector<TensorView>& views) {
    if (views.empty()) return FlatSymbolRefAttr();
    return weight(
        {.name = module + name, .shape = {n, spec.width}, .views = views, .vector = true});
  };
  const bool clamps = spec.limit > 0;
  Value y = builder_.create<nn::ExpertsOp>(
      at(module), like(x, hidden, f32()), x, gates,
      matrices(".gate_proj", spec.width, hidden, spec.gate),
      matrices(".up_proj", spec.width, hidden, spec.up),
      matrices(".down_proj", hidden, spec.width, spec.down), biases(".gate_bias", spec.gate_bias),
      biases(".up_bias", spec.up_bias), builder_.getStringAttr(spec.function),
      clamps ? builder_.getF64FloatAttr(spec.limit) : FloatAttr(),
      clamps ? builder_.getF64FloatAttr(spec.alpha) : FloatAttr(),
      spec.scaled_inputs ? builder_.getUnitAttr() : UnitAttr(), IntegerAttr(), IntegerAttr());
  if (spec.down_bias.empty()) return y;
  // A sum over experts like the rest, so that ranks can share it.
  LinearOptions options{.sum = true, .weight = module + ".down_bias", .views = spec.down_bias};
  return add(module, y, linear(module + ".down_proj_bias", gates, hidden, options));
}

Value ModelBuilder::activation(const std::string& module, std::string_view function, Value x) {
  return builder_.create<nn::ActivationOp>(at(module), x.getType(), x,
                                           builder_.getStringAttr(StringRef(function)));
}

Value ModelBuilder::gatedActivation(const std::string& module, std::string_view function,
                                    Value gate, Value up) {
  return builder_.create<nn::GatedActivationOp>(at(module), up.getType(), gate, up,
                                                builder_.getStringAttr(StringRef(function)));
}

Value ModelBuilder::add(const std::string& module, Value x, Value y) {
  return builder_.create<nn::AddOp>(at(module), like(x, columns(x), compute_), x, y);
}

Value ModelBuilder::addSums(const std::string& module, Value x, Value y) {
  return builder_.create<nn::AddOp>(at(module), like(x, columns(x), f32()), x, y);
}

Value ModelBuilder::mul(const std::string& module, Value x, Value y) {
  return builder_.create<nn::MulOp>(at(module), y.getType(), x, y);
}

Value ModelBuilder::scale(const std::string& module, Value x, double factor) {
  return builder_.create<nn::ScaleOp>(at(module), x.getType(), x, builder_.getF64FloatAttr(factor));
}

Value ModelBuilder::scaleRows(const std::string& module, Value x, Value factors) {
  return builder_.create<nn::ScaleRowsOp>(at(module), x.getType(), x, factors);
}

Value ModelBuilder::softCap(const std::string& module, Value x, double cap) {
  return builder_.create<nn::SoftCapOp>(at(module), x.getType(), x, builder_.getF64FloatAttr(cap));
}

std::vector<Value> ModelBuilder::split(const std::string& module, Value x,
                                       const std::vector<int64_t>& sizes) {
  SmallVector<Type> types;
  Type element = cast<nn::TensorType>(x.getType()).getElementType();
  for (int64_t size : sizes) types.push_back(like(x, size, element));
  auto op = builder_.create<nn::SplitOp>(at(module), types, x);
  return {op.getParts().begin(), op.getParts().end()};
}

Value ModelBuilder::pool(const std::string& module, std::string_view how, Value x) {
  auto type = cast<nn::TensorType>(x.getType());
  auto result = type.withDims({builder_.getStringAttr("B"), type.getDims()[1]});
  return builder_.create<nn::PoolOp>(at(module), result, x, builder_.getStringAttr(StringRef(how)));
}

Value ModelBuilder::inF32(Value x) {
  x.setType(like(x, columns(x), f32()));
  return x;
}

Value ModelBuilder::normalize(const std::string& module, Value x) {
  // An rms_norm is the length 1 but for sqrt(columns); torch's least length is 1e-12.
  const auto n = double(columns(x));
  return scale(module, unitNorm(module, x, columns(x), 1e-24 / n), 1 / std::sqrt(n));
}

Value ModelBuilder::lastToken(Value x) {
  if (!last_only_) return x;
  auto type = cast<nn::TensorType>(x.getType());
  auto result = type.withDims({builder_.getStringAttr("B"), type.getDims()[1]});
  return builder_.create<nn::LastTokenOp>(at("last_token"), result, x);
}

}  // namespace dcc::huggingface
