// One small function per op, and the table.
#include "frontends/graph/ops.h"

#include "runtime/base/printable.h"

namespace dcc::graph {
namespace {

using huggingface::AttentionSpec;
using huggingface::ConfigReader;
using huggingface::ModelBuilder;
using huggingface::Rope;
using mlir::Value;
using Weight = OpCall::Weight;

int64_t columns(Value x) { return ModelBuilder::columns(x); }

Status embedding(OpCall& op) {
  DCC_RETURN_IF_ERROR(op.checkIds(0));
  DCC_ASSIGN(Weight table, op.weight("weight", {op.graph().vocab_size, std::nullopt}));
  return op.gives(
      op.builder.embedding(op.module(), op.ids(), table.shape[0], table.shape[1], table.tensor));
}

// The tensor that `key` names, or <module>.<key> where it is true; empty: there is none.
Result<std::string> optionalWeight(OpCall& op, std::string_view key, int64_t size) {
  if (!op.has(key)) return std::string();
  if (!op.at(key).find(key)->is_string()) {
    DCC_ASSIGN(bool wanted, op.flag(key));
    if (!wanted) return std::string();
  }
  DCC_ASSIGN(Weight weight, op.weight(key, {size}));
  return weight.tensor;
}

Status linear(OpCall& op) {
  DCC_ASSIGN(Value x, op.tensor(0));
  DCC_ASSIGN(Weight weight, op.weight("weight", {std::nullopt, columns(x)}));
  const int64_t out = weight.shape[0];
  DCC_ASSIGN(std::string bias, optionalWeight(op, "bias", out));
  ModelBuilder::LinearOptions options{
      .bias = !bias.empty(), .sum = op.summed(), .weight = weight.tensor, .bias_tensor = bias};
  if (std::optional<Heads> heads = op.heads(); heads && out % heads->head_dim == 0) {
    options.heads = out / heads->head_dim;
    options.shared = heads->shared;
  }
  return op.gives(op.builder.linear(op.module(), x, out, options));
}

Status rmsNorm(OpCall& op) {
  DCC_ASSIGN(Value x, op.tensor(0));
  DCC_ASSIGN(double eps, op.positive("eps"));
  DCC_ASSIGN(Weight weight, op.weight("weight", {columns(x)}));
  return op.gives(op.builder.rmsNorm(op.module(), x, eps, weight.tensor));
}

Status layerNorm(OpCall& op) {
  DCC_ASSIGN(Value x, op.tensor(0));
  DCC_ASSIGN(double eps, op.positive("eps"));
  DCC_ASSIGN(Weight weight, op.weight("weight", {columns(x)}));
  DCC_ASSIGN(std::string bias, optionalWeight(op, "bias", columns(x)));
  return op.gives(op.builder.layerNorm(op.module(), x, eps, weight.tensor, bias));
}

Status headNorm(OpCall& op) {
  DCC_ASSIGN(Value x, op.tensor(0));
  DCC_ASSIGN(int64_t head_dim, op.integer("head_dim"));
  DCC_RETURN_IF_ERROR(op.checkHeads(0, x, head_dim));
  DCC_ASSIGN(double eps, op.positive("eps"));
  DCC_ASSIGN(Weight weight, op.weight("weight", {head_dim}));
  return op.gives(op.builder.headNorm(op.module(), x, head_dim, eps, weight.tensor));
}

// rope_parameters is what it is in a config.json, and read by the same code.
Status frequencies(OpCall& op) {
  constexpr std::string_view kKey = "rope_parameters";
  constexpr std::string_view kKeys[] = {
      "rope_type",       "rope_theta",       "factor",           "original_max_position_embeddings",
      "low_freq_factor", "high_freq_factor", "attention_factor", "beta_fast",
      "beta_slow",       "mscale",           "mscale_all_dim",   "truncate",
      "short_factor",    "long_factor"};
  DCC_ASSIGN(int64_t rotary_dim, op.integer("rotary_dim"));
  if (rotary_dim % 2 != 0 || rotary_dim > 65536) {
    return op.at("rotary_dim").error("rotary_dim", "an even number up to 65536 is expected");
  }
  DCC_ASSIGN(JsonFields parameters, op.at(kKey).object(kKey));
  DCC_RETURN_IF_ERROR(op.document().knownKeys(parameters.value(), kKeys));
  const nlohmann::json block{{kKey, parameters.value()}};
  DCC_ASSIGN(ConfigReader config, ConfigReader::fromJson(block.dump(), op.at(kKey).where()));
  DCC_ASSIGN(Rope rope,
             readRope(config, {.rotary_dim = rotary_dim,
                               .max_position_embeddings = op.graph().max_position_embeddings}));
  DCC_RETURN_IF_ERROR(op.claim(op.module()));
  op.builder.frequencies(op.module(), rope);
  return op.gives(Frequencies{op.module(), rotary_dim});
}

Status rope(OpCall& op) {
  DCC_ASSIGN(Value x, op.tokenRows(0));
  DCC_ASSIGN(Frequencies table, op.frequencies(1));
  DCC_ASSIGN(int64_t head_dim, op.integer("head_dim"));
  DCC_RETURN_IF_ERROR(op.checkHeads(0, x, head_dim));
  int64_t first = 0;
  if (op.has("first")) {
    DCC_ASSIGN(first, op.integer("first"));
  }
  if (first + table.rotary_dim > head_dim) {
    return op.at("head_dim")
        .error("head_dim", "is " + std::to_string(head_dim) + ", but " +
                               std::to_string(table.rotary_dim) + " columns of a head turn" +
                               (first > 0 ? " from column " + std::to_string(first) + " on" : "") +
                               "; at least as many are expected");
  }
  DCC_ASSIGN(bool interleaved, op.flag("interleaved"));
  return op.gives(op.builder.rope(op.module(), x, table.symbol, head_dim, interleaved, first));
}

Status attention(OpCall& op) {
  DCC_ASSIGN(Value q, op.tokenRows(0));
  DCC_ASSIGN(Value k, op.tokenRows(1));
  DCC_ASSIGN(Value v, op.tokenRows(2));
  AttentionSpec spec;
  DCC_ASSIGN(int64_t head_dim, op.integer("head_dim"));
  spec.setHeadDim(head_dim);
  DCC_RETURN_IF_ERROR(op.checkHeads(0, q, head_dim));
  DCC_RETURN_IF_ERROR(op.checkHeads(1, k, head_dim));
  DCC_RETURN_IF_ERROR(op.checkSame(k, v));
  spec.heads = columns(q) / head_dim;
  spec.kv_heads = columns(k) / head_dim;
  if (spec.heads % spec.kv_heads != 0) {
    return op.at("inputs").error("inputs", "q has " + std::to_string(spec.heads) + " heads, k " +
                                               std::to_string(spec.kv_heads) +
                                               "; a number that divides q's is expected of k");
  }
  if (op.has("scale")) {
    DCC_ASSIGN(spec.scale, op.positive("scale"));
  }
  if (op.has("window")) {
    DCC_ASSIGN(spec.window, op.integer("window"));
  }
  if (op.has("chunk")) {
    DCC_ASSIGN(spec.chunk, op.integer("chunk"));
  }
  if (spec.window > 0 && spec.chunk > 0) {
    return op.at("chunk").error("chunk", "stands beside window; one of the two is expected");
  }
  if (op.has("softcap")) {
    DCC_ASSIGN(spec.softcap, op.positive("softcap"));
  }
  DCC_ASSIGN(spec.sinks_tensor, optionalWeight(op, "sinks", spec.heads));
  spec.sinks = !spec.sinks_tensor.empty();
  DCC_RETURN_IF_ERROR(op.claim(op.module() + ".cache"));
  return op.gives(op.builder.attend(op.module(), q, k, v, spec));
}

Status scale(OpCall& op) {
  DCC_ASSIGN(Value x, op.tensor(0));
  DCC_ASSIGN(double factor, op.positive("factor"));
  return op.gives(op.builder.scale(op.module(), x, factor));
}

Status softCap(OpCall& op) {
  DCC_ASSIGN(Value x, op.tensor(0));
  DCC_ASSIGN(double cap, op.positive("cap"));
  return op.gives(op.builder.softCap(op.module(), x, cap));
}

Status activation(OpCall& op) {
  DCC_ASSIGN(Value x, op.tensor(0));
  DCC_ASSIGN(std::string function, op.activation("function"));
  return op.gives(op.builder.activation(op.module(), function, x));
}

Status gatedActivation(OpCall& op) {
  DCC_ASSIGN(Value gate, op.tensor(0));
  DCC_ASSIGN(Value up, op.tensor(1));
  DCC_RETURN_IF_ERROR(op.checkSame(gate, up));
  DCC_ASSIGN(std::string function, op.activation("function"));
  return op.gives(op.builder.gatedActivation(op.module(), function, gate, up));
}

template <Value (ModelBuilder::*kBuild)(const std::string&, Value, Value)>
Status binary(OpCall& op) {
  DCC_ASSIGN(Value x, op.tensor(0));
  DCC_ASSIGN(Value y, op.tensor(1));
  DCC_RETURN_IF_ERROR(op.checkSame(x, y));
  return op.gives((op.builder.*kBuild)(op.module(), x, y));
}

Status split(OpCall& op) {
  DCC_ASSIGN(Value x, op.tensor(0));
  DCC_ASSIGN(std::vector<int64_t> sizes, op.sizes("sizes"));
  int64_t sum = 0;
  for (int64_t size : sizes) sum += size;
  if (sum != columns(x)) {
    return op.at("sizes").error("sizes", "are " + std::to_string(sum) + " columns together; " +
                                             std::to_string(columns(x)) + " are expected");
  }
  return op.gives(op.builder.split(op.module(), x, sizes));
}

Status lastToken(OpCall& op) {
  DCC_ASSIGN(Value x, op.tokenRows(0));
  return op.gives(op.builder.lastToken(x));
}

}  // namespace

const std::vector<OpKind>& opKinds() {
  static const std::vector<OpKind> kKinds = {
      {"embedding", {"tokens"}, {"weight"}, embedding},
      {"linear", {"x"}, {"weight", "bias"}, linear},
      {"rms_norm", {"x"}, {"eps", "weight"}, rmsNorm},
      {"layer_norm", {"x"}, {"eps", "weight", "bias"}, layerNorm},
      {"head_norm", {"x"}, {"head_dim", "eps", "weight"}, headNorm, true},
      {"frequencies", {}, {"rotary_dim", "rope_parameters"}, frequencies},
      {"rope", {"x", "frequencies"}, {"head_dim", "interleaved", "first"}, rope, true},
      {"attention",
       {"q", "k", "v"},
       {"head_dim", "scale", "window", "chunk", "softcap", "sinks"},
       attention},
      {"scale", {"x"}, {"factor"}, scale, true},
      {"soft_cap", {"x"}, {"cap"}, softCap, true},
      {"activation", {"x"}, {"function"}, activation, true},
      {"gated_activation", {"gate", "up"}, {"function"}, gatedActivation, true},
      {"add", {"x", "y"}, {}, binary<&ModelBuilder::add>, true},
      {"mul", {"x", "y"}, {}, binary<&ModelBuilder::mul>, true},
      {"split", {"x"}, {"sizes"}, split, false, true},
      {"last_token", {"x"}, {}, lastToken},
  };
  return kKinds;
}

}  // namespace dcc::graph
