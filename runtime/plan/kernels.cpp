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
constexpr OperandInfo kCache = {"cache", Role::kCache};
constexpr OperandInfo kConstant = {"constant", Role::kConstant};

// For in_place_of.
constexpr uint32_t kFirst = 1, kSecond = 2;

constexpr OperandInfo kEmbedding[] = {in("tokens"), weight("weight"), out("out")};
constexpr OperandInfo kRmsNorm[] = {in("x"), weight("weight"), out("out", kFirst)};
constexpr OperandInfo kAddRmsNorm[] = {in("x"), in("y"), weight("weight"), out("sum", kFirst),
                                       out("out")};
constexpr OperandInfo kRope[] = {in("x"), in("positions"), kConstant, out("out", kFirst)};
constexpr OperandInfo kKvWrite[] = {in("k"), in("v"), kCache};
constexpr OperandInfo kAttention[] = {in("q"), kCache, out("out")};
constexpr OperandInfo kBinary[] = {in("x"), in("y"), out("out", kFirst | kSecond)};
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
                                   integer(AttrKey::interleaved, kOptional)};
constexpr AttrInfo kAttentionAttrs[] = {integer(AttrKey::head_dim), floating(AttrKey::scale),
                                        integer(AttrKey::window, kOptional)};

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
};

constexpr bool indexedByKind() {
  for (size_t i = 0; i < std::size(kKernels); ++i) {
    if (static_cast<size_t>(kKernels[i].kind) != i) return false;
  }
  return std::size(kKernels) == static_cast<size_t>(KernelKind::MAX) + 1;
}
static_assert(indexedByKind(), "every KernelKind of plan.fbs has its row here, in order");

}  // namespace

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
