#include "runtime/plan/kernels.h"

#include <array>

namespace dcc::plan {
namespace {

using fb::AttrKey;
using fb::KernelKind;

constexpr OperandInfo in(std::string_view name) { return {name, Role::kInput}; }
constexpr OperandInfo out(std::string_view name, uint32_t in_place_of = 0) {
  return {name, Role::kOutput, in_place_of};
}
constexpr OperandInfo weight(std::string_view name) { return {name, Role::kWeight}; }
constexpr OperandInfo optional(OperandInfo operand) {
  operand.optional = true;
  return operand;
}
constexpr OperandInfo kCache = {"cache", Role::kCache};
constexpr OperandInfo kConstant = {"constant", Role::kConstant};

// For in_place_of.
constexpr uint32_t kFirst = 1, kSecond = 2;

constexpr OperandInfo kEmbedding[] = {in("tokens"), weight("weight"), out("out")};
constexpr OperandInfo kRmsNorm[] = {in("x"), weight("weight"), out("out", kFirst)};
constexpr OperandInfo kAddRmsNorm[] = {in("x"), in("y"), weight("weight"), out("sum", kFirst),
                                       out("out")};
constexpr OperandInfo kUnitNorm[] = {in("x"), out("out", kFirst)};
constexpr OperandInfo kLayerNorm[] = {in("x"), weight("weight"), out("out", kFirst),
                                      optional(weight("bias"))};
constexpr OperandInfo kRope[] = {in("x"), in("positions"), kConstant, out("out", kFirst),
                                 optional({"beyond", Role::kConstant})};
constexpr OperandInfo kKvWrite[] = {in("k"), in("v"), kCache};
constexpr OperandInfo kAttention[] = {in("q"), kCache, out("out"), optional(weight("sinks"))};
constexpr OperandInfo kSelfAttention[] = {in("q"), in("k"), in("v"), out("out")};
constexpr OperandInfo kExtendHeads[] = {in("x"), in("y"), out("out")};
constexpr OperandInfo kTemperature[] = {in("x"), in("positions"), out("out", kFirst)};
constexpr OperandInfo kRoute[] = {in("logits"), out("out", kFirst), optional(weight("bias"))};
constexpr OperandInfo kExperts[] = {in("x"),
                                    in("gates"),
                                    weight("gate"),
                                    weight("up"),
                                    weight("down"),
                                    out("out"),
                                    optional(weight("gate_bias")),
                                    optional(weight("up_bias"))};
constexpr OperandInfo kBinary[] = {in("x"), in("y"), out("out", kFirst | kSecond)};
constexpr OperandInfo kScaleRows[] = {in("x"), in("factors"), out("out", kFirst)};
constexpr OperandInfo kActivation[] = {in("x"), out("out", kFirst)};
constexpr OperandInfo kGatedActivation[] = {in("gate"), in("up"), out("out", kFirst | kSecond)};
constexpr OperandInfo kSelect[] = {in("x"), out("out")};
constexpr OperandInfo kAddBias[] = {in("x"), weight("bias"), out("out", kFirst)};

constexpr AttrInfo floating(AttrKey key, bool required = true) { return {key, true, required}; }
constexpr AttrInfo integer(AttrKey key, bool required = true) { return {key, false, required}; }
constexpr bool kOptional = false;

constexpr AttrInfo kEps[] = {floating(AttrKey::eps)};
constexpr AttrInfo kRmsNormAttrs[] = {floating(AttrKey::eps),
                                      integer(AttrKey::head_dim, kOptional)};
constexpr AttrInfo kFunction[] = {integer(AttrKey::function)};
constexpr AttrInfo kRopeAttrs[] = {integer(AttrKey::head_dim),
                                   floating(AttrKey::scale),
                                   floating(AttrKey::theta, kOptional),
                                   floating(AttrKey::factor, kOptional),
                                   integer(AttrKey::original_positions, kOptional),
                                   integer(AttrKey::interleaved, kOptional),
                                   integer(AttrKey::first, kOptional)};
constexpr AttrInfo kUnitNormAttrs[] = {floating(AttrKey::eps), integer(AttrKey::head_dim)};
constexpr AttrInfo kAttentionAttrs[] = {
    integer(AttrKey::head_dim), floating(AttrKey::scale), integer(AttrKey::window, kOptional),
    floating(AttrKey::softcap, kOptional), integer(AttrKey::chunk, kOptional)};
constexpr AttrInfo kSelfAttentionAttrs[] = {integer(AttrKey::head_dim), floating(AttrKey::scale),
                                            floating(AttrKey::softcap, kOptional)};
constexpr AttrInfo kScale[] = {floating(AttrKey::scale)};
constexpr AttrInfo kSoftCap[] = {floating(AttrKey::softcap)};
constexpr AttrInfo kSliceHeads[] = {integer(AttrKey::head_dim), integer(AttrKey::first),
                                    integer(AttrKey::size)};
constexpr AttrInfo kHeadDim[] = {integer(AttrKey::head_dim)};
constexpr AttrInfo kTemperatureAttrs[] = {floating(AttrKey::scale), integer(AttrKey::floor)};
constexpr AttrInfo kRouteAttrs[] = {floating(AttrKey::scale),
                                    integer(AttrKey::k),
                                    integer(AttrKey::scores),
                                    integer(AttrKey::normalize),
                                    integer(AttrKey::groups, kOptional),
                                    integer(AttrKey::live, kOptional),
                                    integer(AttrKey::best, kOptional)};
constexpr AttrInfo kExpertsAttrs[] = {integer(AttrKey::function),
                                      integer(AttrKey::groups, kOptional),
                                      floating(AttrKey::limit, kOptional),
                                      floating(AttrKey::alpha, kOptional),
                                      integer(AttrKey::scaled_inputs, kOptional),
                                      integer(AttrKey::chunks, kOptional)};

// Indexed by KernelKind.
constexpr KernelInfo kKernels[] = {
    {KernelKind::embedding, "embedding", kEmbedding, {}},
    {KernelKind::rms_norm, "rms_norm", kRmsNorm, kRmsNormAttrs},
    {KernelKind::add_rms_norm, "add_rms_norm", kAddRmsNorm, kEps},
    {KernelKind::rope, "rope", kRope, kRopeAttrs},
    {KernelKind::kv_write, "kv_write", kKvWrite, {}},
    {KernelKind::attention, "attention", kAttention, kAttentionAttrs},
    {KernelKind::add, "add", kBinary, {}},
    {KernelKind::activation, "activation", kActivation, kFunction},
    {KernelKind::gated_activation, "gated_activation", kGatedActivation, kFunction},
    {KernelKind::last_token, "last_token", kSelect, {}},
    {KernelKind::slice_columns, "slice_columns", kSelect, {}},
    {KernelKind::add_bias, "add_bias", kAddBias, {}},
    {KernelKind::mul, "mul", kBinary, {}},
    {KernelKind::slice_rows, "slice_rows", kSelect, {}},
    {KernelKind::layer_norm, "layer_norm", kLayerNorm, kRmsNormAttrs},
    {KernelKind::scale, "scale", kActivation, kScale},
    {KernelKind::scale_rows, "scale_rows", kScaleRows, {}},
    {KernelKind::soft_cap, "soft_cap", kActivation, kSoftCap},
    {KernelKind::slice_heads, "slice_heads", kSelect, kSliceHeads},
    {KernelKind::extend_heads, "extend_heads", kExtendHeads, kHeadDim},
    {KernelKind::temperature, "temperature", kTemperature, kTemperatureAttrs},
    {KernelKind::unit_norm, "unit_norm", kUnitNorm, kUnitNormAttrs},
    {KernelKind::route, "route", kRoute, kRouteAttrs},
    {KernelKind::experts, "experts", kExperts, kExpertsAttrs},
    {KernelKind::self_attention, "self_attention", kSelfAttention, kSelfAttentionAttrs},
    {KernelKind::first_token, "first_token", kSelect, {}},
    {KernelKind::mean_tokens, "mean_tokens", kSelect, {}},
};

constexpr std::string_view kFunctionNames[] = {"silu",    "gelu", "gelu_tanh", "relu",
                                               "sigmoid", "tanh", "relu2"};
static_assert(std::size(kFunctionNames) == kFunctions);
constexpr std::string_view kScoresNames[] = {"softmax", "sigmoid"};

template <class Value, size_t n>
std::optional<Value> valueNamed(const std::string_view (&names)[n], std::string_view name) {
  for (size_t i = 0; i < n; ++i) {
    if (names[i] == name) return static_cast<Value>(i);
  }
  return std::nullopt;
}

constexpr bool indexedByKind() {
  for (size_t i = 0; i < std::size(kKernels); ++i) {
    if (static_cast<size_t>(kKernels[i].kind) != i) return false;
  }
  return std::size(kKernels) == static_cast<size_t>(KernelKind::MAX) + 1;
}
static_assert(indexedByKind(), "every KernelKind of plan.fbs has its row here, in order");

}  // namespace

std::optional<Function> functionNamed(std::string_view name) {
  return valueNamed<Function>(kFunctionNames, name);
}

std::string functionNames() {
  std::string names;
  for (std::string_view name : kFunctionNames) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

std::optional<Scores> scoresNamed(std::string_view name) {
  return valueNamed<Scores>(kScoresNames, name);
}

size_t requiredOperands(const KernelInfo& info) {
  size_t n = 0;
  while (n < info.operands.size() && !info.operands[n].optional) ++n;
  return n;
}

const KernelInfo* kernelInfo(KernelKind kind) {
  size_t index = static_cast<size_t>(kind);
  return index < std::size(kKernels) ? &kKernels[index] : nullptr;
}

const KernelInfo* kernelInfo(std::string_view name) {
  for (const KernelInfo& info : kKernels) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

std::string_view attrName(AttrKey key) { return fb::EnumNameAttrKey(key); }

}  // namespace dcc::plan
