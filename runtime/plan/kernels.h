// The kernels a plan may name: operands and attributes of each, in one table. The verifier, the
// dump, the compiler's emission and the backends all read it, so a kernel is declared once.
//
// Notation: T tokens of the step, B sequences, R any rows. Buffers are [rows, cols] of f32, bf16 or
// f16 unless said, each its own; all arithmetic is f32, rounded when it is stored.
//
//   embedding        tokens i32 [T,1], weight [v,D] -> out [T,D]
//                    out[t] = weight[tokens[t] - row_origin], zeros where that row is not ours
//   rms_norm         x [R,D], weight [1,d] -> out [R,D]             eps [, head_dim]
//                    out = x / sqrt(mean(x^2) + eps) * weight, over every block of d = head_dim
//                    columns; without head_dim over the row, d = D
//   add_rms_norm     x [R,D], y [R,D], weight [1,D] -> sum [R,D], out [R,D]    eps
//                    sum = x + y, out = rms_norm(sum)
//   rope             x [T,H*d], positions i32 [T,1], constant [d'/2] -> out [T,H*d]
//                    head_dim, scale [, theta, factor, original_positions, interleaved]
//                    rotates the first d' <= d columns of each head by position * frequency,
//                    pairs (i, i + d'/2) or, interleaved = 1, (2i, 2i + 1); cos and sin are
//                    multiplied by `scale`. With theta (dynamic NTK scaling): for sequences whose
//                    rope length L exceeds original_positions the frequencies are
//                    base^(-2i/d'), base = theta * (factor*L/original_positions - factor +
//                    1)^(d'/(d'-2)).
//   kv_write         k [T,G*dk], v [T,G*dv], cache
//                    stores each token's keys and values in its slot of the cache
//   attention        q [T,H*dk], cache -> out [T,H*dv]               head_dim, scale [, window]
//                    causal softmax(scale * q.k) v over the sequence's tokens up to and including
//                    the token itself, the last `window` of them if given; query head h reads KV
//                    head h / (H / G)
//   add              x [R,D], y [R,D] -> out [R,D]
//   mul              x [R,D], y [R,D] -> out [R,D]
//   activation       x [R,D] -> out [R,D]                            function
//   gated_activation gate [R,D], up [R,D] -> out [R,D] = f(gate) * up    function
//   last_token       x [T,D] -> out [B,D]: the row of each sequence's last token
//   slice_columns    x [R,C] -> out [R,c]: the columns of Kernel.ranges, one after the other
//   add_bias         x [R,D], bias weight [1,D] -> out [R,D]
//   slice_rows       x [R,D] -> out [r,D]: part i of n, Kernel.ranges = [i, n], of rows cut evenly
//                    (as it goes): r = ceil_div(max(R - i, 0), n), the parts in order
//
// Weights of embedding and of GEMMs are f32, bf16 or f16; those of norms and biases are f32.
//
// An output may be the same buffer as an input of the same shape in add, mul, activation,
// gated_activation, rms_norm, rope, add_bias and add_rms_norm (sum over x); see
// OperandInfo::in_place_of.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "plan_generated.h"

namespace dcc::plan {

// Values of AttrKey.function. The numbers never change.
enum class Function : int64_t { kSilu = 0, kGelu = 1, kGeluTanh = 2, kRelu = 3 };

enum class Role : uint8_t { kInput, kOutput, kWeight, kCache, kConstant };

struct OperandInfo {
  std::string_view name;
  Role role;
  // Of an output: bit i is set when it may be the same buffer as operand i.
  uint32_t in_place_of = 0;
};

struct AttrInfo {
  fb::AttrKey key;
  bool isFloat;  // in Attr.f, else in Attr.i
  bool required;
};

struct KernelInfo {
  fb::KernelKind kind;
  std::string_view name;
  std::span<const OperandInfo> operands;
  std::span<const AttrInfo> attrs;
};

// Null for a number this build does not know.
const KernelInfo* kernelInfo(fb::KernelKind kind);
// By the name above; null when there is none.
const KernelInfo* kernelInfo(std::string_view name);
// "eps", "head_dim", ...
std::string_view attrName(fb::AttrKey key);

}  // namespace dcc::plan
