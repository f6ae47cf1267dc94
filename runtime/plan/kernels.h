// The kernels a plan may name: operands and attributes of each, in one table. The verifier, the
// dump, the compiler's emission and the backends all read it, so a kernel is declared once.
//
// Notation: T tokens of the step, B sequences, R any rows. Buffers are [rows, cols] of f32, bf16 or
// f16 unless said, each its own; all arithmetic is f32, rounded when it is stored.
//
//   embedding        tokens i32 [T,1], weight [v,D] -> out [T,D]; tokens may be positions or types
//                    out[t] = weight[tokens[t] - row_origin], zeros where that row is not ours
//   rms_norm         x [R,D], weight [1,d] -> out [R,D]             eps [, head_dim]
//                    out = x / sqrt(mean(x^2) + eps) * weight, over every block of d = head_dim
//                    columns; without head_dim over the row, d = D
//   add_rms_norm     x [R,D], y [R,D], weight [1,D] -> sum [R,D], out [R,D]    eps
//                    sum = x + y, out = rms_norm(sum)
//   unit_norm        x [R,D] -> out [R,D]                            eps, head_dim
//                    rms_norm with a weight of ones
//   layer_norm       x [R,D], weight [1,D] -> out [R,D] [, bias [1,D]]         eps
//                    out = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias; with head_dim
//                    over every block of that many columns, weight [D/head_dim, head_dim], no bias
//   rope             x [T,H*d], positions i32 [T,1], constant [d'/2] -> out [T,H*d]
//                    [, beyond [d'/2]]  head_dim, scale [, theta, factor, original_positions,
//                    interleaved, first]
//                    rotates d' columns of each head, from `first` (0) on, by position * frequency,
//                    pairs (i, i + d'/2) or, interleaved = 1, (2i, 2i + 1); cos and sin are
//                    multiplied by `scale`. For sequences whose rope length L exceeds
//                    original_positions the frequencies are `beyond`, where it is given. With theta
//                    (dynamic NTK scaling) they are then base^(-2i/d'), base = theta *
//                    (factor*L/original_positions - factor + 1)^(d'/(d'-2)).
//   kv_write         k [T,G*dk], v [T,G*dv], cache
//                    stores each token's keys and values in its slot of the cache
//   attention        q [T,H*dk], cache -> out [T,H*dv] [, sinks f32 [1,H]]
//                    head_dim, scale [, window, chunk, softcap]
//                    causal softmax(s) v over the sequence's tokens up to and including the token
//                    itself, the last `window` of them, or those at positions p with the same
//                    p / chunk, if given; s = scale * q.k, or softcap * tanh(scale * q.k /
//                    softcap). A sink is one more score, without a value. Query head h reads KV
//                    head h / (H / G); with Kernel.ranges = [first, group], (first + h) / group
//   self_attention   q [T,H*dk], k [T,G*dk], v [T,G*dv] -> out [T,H*dv]
//                    head_dim, scale [, softcap]
//                    the same over all tokens of the sequence, which are all in the step; ranges
//                    as of attention
//   slice_heads      x [R,H*d] -> out [R,H*size]                     head_dim, first, size
//                    columns [first, first + size) of every head of d = head_dim columns
//   extend_heads     x [R,H*d], y [R,e] -> out [R,H*(d+e)]           head_dim
//                    every head of x, and y's row behind each
//   temperature      x [T,D], positions -> out [T,D]                 scale, floor
//                    out = x * (1 + scale * log(1 + floor((position + 1) / floor)))
//   route            logits [R,E] -> out f32 [R,E] [, bias f32 [1,E]]
//                    k, scores, normalize, scale [, groups, live, best]
//                    scores (softmax, or sigmoid of each) of the k experts with the largest score
//                    + bias, 0 of the others; with `normalize` divided by their sum; times scale.
//                    With groups of E / groups experts only those of the `live` groups are chosen
//                    whose `best` largest (score + bias) have the largest sum. Of equals the first
//                    counts.
//   experts          x [R,D], gates f32 [R,E], gate [E*I,D], up [E*I,D], down [E*O,I] ->
//                    out f32 [R,O] [, gate_bias f32 [E,I], up_bias f32 [E,I]]
//                    function [, limit, alpha, scaled_inputs, chunks, groups]
//                    out = sum over e with gates[e] != 0, in order, of
//                    gates[e] * (f(x gate_e') * (x up_e')) down_e'; with scaled_inputs of
//                    (f(gates[e] x gate_e') * (gates[e] x up_e')) down_e'. With limit l:
//                    g = min(x gate_e', l), u = clamp(x up_e', -l, l), and g * sigmoid(alpha * g) *
//                    (u + 1) in place of f(..) * (..). Biases are added to g and u first. With
//                    invariant numerics there is a sum for each of `chunks` equal parts of I, over
//                    which down's products run, or for each of `groups` equal groups of experts;
//                    these are added as a balanced tree, like a GEMM's chunks.
//   add              x [R,D], y [R,D] -> out [R,D]
//   mul              x [R,D], y [R,D] -> out [R,D]
//   scale            x [R,D] -> out [R,D] = x * scale                scale
//   scale_rows       x [R,D], factors [R,1] -> out [R,D]: every row times its factor
//   soft_cap         x [R,D] -> out [R,D] = softcap * tanh(x / softcap)        softcap
//   activation       x [R,D] -> out [R,D]                            function
//   gated_activation gate [R,D], up [R,D] -> out [R,D] = f(gate) * up    function
//   last_token       x [T,D] -> out [B,D]: the row of each sequence's last token
//   first_token      x [T,D] -> out [B,D]: the row of each sequence's first token
//   mean_tokens      x [T,D] -> out [B,D]: the mean of each sequence's rows
//   slice_columns    x [R,C] -> out [R,c]: the columns of Kernel.ranges, one after the other
//   add_bias         x [R,D], bias weight [1,D] -> out [R,D]
//   slice_rows       x [R,D] -> out [r,D]: part i of n, Kernel.ranges = [i, n], of rows cut evenly
//                    (as it goes): r = ceil_div(max(R - i, 0), n), the parts in order
//
// Operands in brackets may be left out, which is why they come last. Weights of embedding, GEMMs
// and experts are f32, bf16 or f16; those of norms and biases are f32.
//
// Where an output may be the same buffer as an input: OperandInfo::in_place_of.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plan_generated.h"
#include "runtime/plan/functions.h"

namespace dcc::plan {

// "silu", ...; nothing for a name there is not.
std::optional<Function> functionNamed(std::string_view name);
std::string functionNames();

std::optional<Scores> scoresNamed(std::string_view name);

enum class Role : uint8_t { kInput, kOutput, kWeight, kCache, kConstant };

struct OperandInfo {
  std::string_view name;
  Role role;
  // Of an output: bit i is set when it may be the same buffer as operand i.
  uint32_t in_place_of = 0;
  // May be missing; only the last operands are.
  bool optional = false;
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

// Operands that are not optional.
size_t requiredOperands(const KernelInfo& info);

// Null for a number this build does not know.
const KernelInfo* kernelInfo(fb::KernelKind kind);
// By the name above; null when there is none.
const KernelInfo* kernelInfo(std::string_view name);
// "eps", "head_dim", ...
std::string_view attrName(fb::AttrKey key);

}  // namespace dcc::plan
