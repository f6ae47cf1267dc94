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

void ModelBuilder::beginEntry(std::string_view name, int64_t tokens, int64_t seqs, bool last_only) {
  last_only_ = last_only;
  MLIRContext* context = builder_.getContext();
  builder_.setInsertionPointToEnd(module_.getBody());
  Type ids =
      nn::TensorType::get(context, {builder_.getStringAttr("T")}, IntegerType::get(context, 32));
  entry_ = builder_.create<func::FuncOp>(at(std::string(name)), StringRef(name),
                                         builder_.getFunctionType({ids, ids}, {}));
  entry_->setAttr("nn.bounds",
                  builder_.getDictionaryAttr(
                      {{builder_.getStringAttr("B"), builder_.getI64IntegerAttr(seqs)},
                       {builder_.getStringAttr("T"), builder_.getI64IntegerAttr(tokens)}}));
  if (symbols_.empty())
    symbolBuilder_.setInsertionPoint(entry_);  // symbols stand before the entries
  builder_.setInsertionPointToStart(entry_.addEntryBlock());
}

void ModelBuilder::endEntry(Value result) {
  builder_.create<func::ReturnOp>(entry_.getLoc(), result);
  entry_.setType(builder_.getFunctionType(entry_.getArgumentTypes(), TypeRange(result.getType())));
}

// ---- symbols -----------------------------------------------------------------------------------

FlatSymbolRefAttr ModelBuilder::weight(const std::string& tensor, std::vector<int64_t> shape,
                                       std::optional<int64_t> heads, bool shared) {
  auto ref = FlatSymbolRefAttr::get(builder_.getContext(), tensor);
  if (symbols_.contains(tensor)) return ref;
  Result<const CheckpointTensor*> found =
      tensors_.require(tensor, std::vector<uint64_t>(shape.begin(), shape.end()));
  if (!found.ok()) {
    if (status_.ok()) status_ = found.error();
    return ref;
  }
  const CheckpointTensor& stored = **found;
  Type element = mlirType(builder_.getContext(), *parseDType(stored.dtype));
  SmallVector<Attribute> dims;
  for (int64_t size : shape) dims.push_back(nn::sizeAttr(builder_.getContext(), size));
  auto source = nn::SourceAttr::get(builder_.getContext(), builder_.getStringAttr(tensor),
                                    stored.file, stored.offset, shape, element);
  // Matrices keep the checkpoint's type in f32 arithmetic, which loses nothing; otherwise they are
  // rounded like the activations. Vectors cost nothing and are read as f32.
  Type held = shape.size() == 1 ? Type(f32()) : compute_.isF32() ? element : compute_;
  symbols_[tensor] = symbolBuilder_.create<nn::WeightOp>(
      at(tensor.substr(0, tensor.rfind('.'))), builder_.getStringAttr(tensor),
      TypeAttr::get(nn::TensorType::get(builder_.getContext(), dims, held)), TypeAttr(),
      heads ? builder_.getI64IntegerAttr(*heads) : IntegerAttr(),
      shared ? builder_.getUnitAttr() : UnitAttr(), builder_.getArrayAttr({source}), StringAttr());
  return ref;
}

FlatSymbolRefAttr ModelBuilder::cache(const std::string& name, const AttentionSpec& spec) {
  if (!symbols_.contains(name)) {
    symbols_[name] = symbolBuilder_.create<nn::CacheOp>(
        at(name), name, spec.kv_heads, spec.head_dim, spec.head_dim, compute_,
        spec.window ? "window_" + std::to_string(spec.window) : "full",
        spec.window ? builder_.getI64IntegerAttr(spec.window) : IntegerAttr());
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
  symbol = symbolBuilder_.create<nn::FrequenciesOp>(at(std::string(name)),
                                                    builder_.getStringAttr(StringRef(name)),
                                                    builder_.getDenseF32ArrayAttr(rope.frequencies),
                                                    builder_.getF32FloatAttr(rope.scale), dynamic);
}

// ---- layers ------------------------------------------------------------------------------------

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

Value ModelBuilder::linear(const std::string& module, Value x, int64_t out, LinearOptions options) {
  Value y =
      builder_.create<nn::LinearOp>(at(module), like(x, out, options.sum ? f32() : compute_), x,
                                    weight(named(options.weight, module + ".weight"),
                                           {out, columns(x)}, options.heads, options.shared),
                                    FlatSymbolRefAttr());
  if (!options.bias) return y;
  return builder_.create<nn::AddBiasOp>(
      at(module), y.getType(), y,
      weight(named(options.bias_tensor, module + ".bias"), {out}, options.heads, options.shared));
}

Value ModelBuilder::rmsNorm(const std::string& module, Value x, double eps,
                            const std::string& tensor) {
  return builder_.create<nn::RmsNormOp>(at(module), like(x, columns(x), compute_), x,
                                        weight(named(tensor, module + ".weight"), {columns(x)}),
                                        builder_.getF64FloatAttr(eps));
}

Value ModelBuilder::headNorm(const std::string& module, Value x, int64_t head_dim, double eps,
                             const std::string& tensor) {
  return builder_.create<nn::HeadNormOp>(
      at(module), x.getType(), x, weight(named(tensor, module + ".weight"), {head_dim}),
      builder_.getI64IntegerAttr(head_dim), builder_.getF64FloatAttr(eps));
}

Value ModelBuilder::rope(const std::string& module, Value x, std::string_view frequencies,
                         int64_t head_dim, bool interleaved) {
  return builder_.create<nn::RopeOp>(
      at(module), x.getType(), x, positions(),
      FlatSymbolRefAttr::get(builder_.getContext(), StringRef(frequencies)),
      builder_.getI64IntegerAttr(head_dim), interleaved ? builder_.getUnitAttr() : UnitAttr());
}

Value ModelBuilder::attend(const std::string& module, Value q, Value k, Value v,
                           const AttentionSpec& spec) {
  return builder_.create<nn::AttentionOp>(
      at(module), q.getType(), q, k, v, cache(module + ".cache", spec),
      builder_.getI64IntegerAttr(spec.head_dim), builder_.getI64IntegerAttr(spec.head_dim),
      builder_.getF64FloatAttr(spec.scale),
      spec.window ? builder_.getI64IntegerAttr(spec.window) : IntegerAttr());
}

Value ModelBuilder::attention(const std::string& module, Value x, const AttentionSpec& spec,
                              std::string_view frequencies) {
  auto project = [&](const char* name, int64_t heads, bool shared) {
    LinearOptions options{.bias = spec.bias, .heads = heads, .shared = shared};
    return linear(module + name, x, heads * spec.head_dim, options);
  };
  Value q = project(".q_proj", spec.heads, false);
  Value k = project(".k_proj", spec.kv_heads, true);
  Value v = project(".v_proj", spec.kv_heads, true);
  if (spec.head_norm) {
    q = headNorm(module + ".q_norm", q, spec.head_dim, spec.eps);
    k = headNorm(module + ".k_norm", k, spec.head_dim, spec.eps);
  }
  q = rope(module, q, frequencies, spec.head_dim);
  k = rope(module, k, frequencies, spec.head_dim);
  return linear(module + ".o_proj", attend(module, q, k, v, spec), columns(x),
                {.bias = spec.output_bias, .sum = true});
}

Value ModelBuilder::gatedMlp(const std::string& module, Value x, int64_t intermediate,
                             std::string_view function, bool bias) {
  Value gate = linear(module + ".gate_proj", x, intermediate, {.bias = bias});
  Value up = linear(module + ".up_proj", x, intermediate, {.bias = bias});
  Value product = mul(module, activation(module + ".act_fn", function, gate), up);
  return linear(module + ".down_proj", product, columns(x), {.bias = bias, .sum = true});
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

Value ModelBuilder::mul(const std::string& module, Value x, Value y) {
  return builder_.create<nn::MulOp>(at(module), y.getType(), x, y);
}

std::vector<Value> ModelBuilder::split(const std::string& module, Value x,
                                       const std::vector<int64_t>& sizes) {
  SmallVector<Type> types;
  Type element = cast<nn::TensorType>(x.getType()).getElementType();
  for (int64_t size : sizes) types.push_back(like(x, size, element));
  auto op = builder_.create<nn::SplitOp>(at(module), types, x);
  return {op.getParts().begin(), op.getParts().end()};
}

Value ModelBuilder::lastToken(Value x) {
  if (!last_only_) return x;
  auto type = cast<nn::TensorType>(x.getType());
  auto result = type.withDims({builder_.getStringAttr("B"), type.getDims()[1]});
  return builder_.create<nn::LastTokenOp>(at("last_token"), result, x);
}

}  // namespace dcc::huggingface
