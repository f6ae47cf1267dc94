// Instructions, outputs and data flow: one broken rule at a time.
#include <gtest/gtest.h>

#include <cmath>

#include "verify_support.h"

namespace dcc::plan {
namespace {

using namespace testing;  // the whole file is about its helpers

TEST(VerifyProgram, Gemms) {
  const std::string where =
      "entry prefill: instruction 3 (gemm, model.layers.0.self_attn.q_proj+"
      "k_proj+v_proj): ";
  check({
      {where + "buffer 99 does not exist; there are 19", [](PlanT& p) { gemm(p, kQkv).a = 99; }},
      {where + "weight 9 does not exist; there are 9", [](PlanT& p) { gemm(p, kQkv).weight = 9; }},
      {where + "weight 9 does not exist; there are 9", [](PlanT& p) { gemm(p, kQkv).bias = 9; }},
      {where + "bias must be a weight or -1", [](PlanT& p) { gemm(p, kQkv).bias = -2; }},
      {where + "the bias [1, 8] must be f32 [1, 16]", [](PlanT& p) { gemm(p, kQkv).bias = 5; }},
      {where + "a [T, 8], weight [8, 8] and out [T, 16] must be [m, k], [n, k] and [m, n]",
       [](PlanT& p) { gemm(p, kQkv).weight = 0; }},
      {where + "buffers must be f32, bf16 or f16", [](PlanT& p) { gemm(p, kQkv).a = 0; }},
      {"entry prefill: instruction 3 (none, model.layers.0.self_attn.q_proj+k_proj+v_proj): has no "
       "body",
       [](PlanT& p) { instruction(p, kQkv).body = {}; }},
  });
}

TEST(VerifyProgram, SumsOfInvariantNumerics) {
  auto errorOfInvariant = [](const std::function<void(PlanT&)>& change) {
    auto plans = examplePlans({.numerics = fb::Numerics::invariant});
    change(plans[0]);
    return errorOf(pack(plans[0]));
  };
  EXPECT_EQ(errorOfInvariant([](PlanT&) {}), "");
  const std::string product =
      "rank_0.dplan: entry prefill: instruction 8 (gemm, model.layers.0.self_attn.o_proj): ";
  const std::string reduce =
      "rank_0.dplan: entry prefill: instruction 1 (all_reduce, model.embed_tokens): ";
  for (int chunks : {0, 3, 16}) {
    EXPECT_EQ(
        errorOfInvariant([&](PlanT& p) { gemm(p, kOutput).chunks = static_cast<uint8_t>(chunks); }),
        product + "chunks must be a power of two up to 8 that divides 8");
  }
  EXPECT_EQ(errorOfInvariant([](PlanT& p) {
              instruction(p, kAllReduce).body.AsCollective()->reduction = fb::Reduction::sum;
            }),
            reduce + "reduction must be tree_sum");
  EXPECT_EQ(errorOfInvariant([](PlanT& p) { p.features.clear(); }),
            "rank_0.dplan: its numerics are invariant, and exactly plans of invariant ones must "
            "need the feature invariant_numerics");
  EXPECT_EQ(errorOfInvariant([](PlanT& p) { p.numerics = fb::Numerics::fast; }),
            "rank_0.dplan: its numerics are fast, and exactly plans of invariant ones must need "
            "the feature invariant_numerics");
  check({
      {"entry prefill: instruction 8 (gemm, model.layers.0.self_attn.o_proj): chunks mean nothing "
       "to fast numerics",
       [](PlanT& p) { gemm(p, kOutput).chunks = 2; }},
      {"entry prefill: instruction 1 (all_reduce, model.embed_tokens): reduction must be sum",
       [](PlanT& p) {
         instruction(p, kAllReduce).body.AsCollective()->reduction = fb::Reduction::tree_sum;
       }},
  });
}

TEST(VerifyProgram, KernelOperandsAndAttributes) {
  const std::string norm =
      "entry prefill: instruction 2 (rms_norm, model.layers.0.input_layernorm): ";
  const std::string rope = "entry prefill: instruction 4 (rope, model.layers.0.self_attn): ";
  check({
      {norm + "has 2 operands; there must be 3",
       [](PlanT& p) { kernel(p, kNorm).operands.pop_back(); }},
      {norm + "operand weight must be a weight",
       [](PlanT& p) {
         kernel(p, kNorm).operands[1] = {fb::OperandKind::buffer, 2};
       }},
      {norm + "operand out: buffer 19 does not exist; there are 19",
       [](PlanT& p) {
         kernel(p, kNorm).operands[2] = {fb::OperandKind::buffer, 19};
       }},
      {norm + "attribute eps is missing", [](PlanT& p) { kernel(p, kNorm).attrs.clear(); }},
      {norm + "attribute eps must be a finite number",
       [](PlanT& p) { setAttr(p, kNorm, fb::AttrKey::eps, 0, NAN); }},
      {norm + "attribute window means nothing to this kernel",
       [](PlanT& p) {
         kernel(p, kNorm).attrs.push_back({fb::AttrKey::window, 1, 0});
       }},
      {norm + "attributes must be sorted and unique",
       [](PlanT& p) { kernel(p, kNorm).attrs.push_back(kernel(p, kNorm).attrs[0]); }},
      {norm + "eps must not be negative",
       [](PlanT& p) { setAttr(p, kNorm, fb::AttrKey::eps, 0, -1); }},
      {norm + "ranges mean nothing to this kernel",
       [](PlanT& p) {
         kernel(p, kNorm).ranges = {0, 1};
       }},
      {rope + "attribute head_dim must be an integer",
       [](PlanT& p) { setAttr(p, kRopeQ, fb::AttrKey::head_dim, 4, 0.5); }},
      {rope + "x's columns must be a multiple of head_dim 3",
       [](PlanT& p) { setAttr(p, kRopeQ, fb::AttrKey::head_dim, 3, 0); }},
      {rope + "head_dim must be from 1 to 9223372036854775807",
       [](PlanT& p) { setAttr(p, kRopeQ, fb::AttrKey::head_dim, 0, 0); }},
      {rope + "constant has 3 frequencies; there must be from 1 to 2",
       [](PlanT& p) { p.constants[0]->values.push_back(0); }},
      {rope + "original_positions must come with theta and factor or with other frequencies",
       [](PlanT& p) {
         kernel(p, kRopeQ).attrs.push_back({fb::AttrKey::theta, 0, 1e4});
       }},
      {rope + "theta must be above 0 and factor at least 1",
       [](PlanT& p) {
         auto& attrs = kernel(p, kRopeQ).attrs;
         attrs.push_back({fb::AttrKey::theta, 0, 1e4});
         attrs.push_back({fb::AttrKey::factor, 0, 0.5});
         attrs.push_back({fb::AttrKey::original_positions, 32, 0});
       }},
      {"entry prefill: instruction 12 (gated_activation, model.layers.0.mlp): function must be "
       "from 0 to 6",
       [](PlanT& p) { setAttr(p, kGated, fb::AttrKey::function, 7, 0); }},
  });
  EXPECT_EQ(errorAfter([](PlanT& p) {
              auto& attrs = kernel(p, kRopeQ).attrs;
              attrs.push_back({fb::AttrKey::theta, 0, 1e4});
              attrs.push_back({fb::AttrKey::factor, 0, 2.0});
              attrs.push_back({fb::AttrKey::original_positions, 32, 0});
              attrs.push_back({fb::AttrKey::interleaved, 1, 0});
            }),
            "");
}

TEST(VerifyProgram, KernelShapes) {
  const std::string attention =
      "entry prefill: instruction 7 (attention, model.layers.0.self_attn): ";
  check({
      {"entry prefill: instruction 0 (embedding, model.embed_tokens): tokens must be a step "
       "input",
       [](PlanT& p) {
         kernel(p, kEmbedding).operands[0] = {fb::OperandKind::buffer, 2};
       }},
      {"entry prefill: instruction 0 (embedding, model.embed_tokens): weight's rows 9 + 8 lie "
       "outside the vocabulary of 16",
       [](PlanT& p) { p.weights[0]->row_origin = 9; }},
      {"entry prefill: instruction 2 (rms_norm, model.layers.0.input_layernorm): weight must be "
       "f32 "
       "[1, 8]",
       [](PlanT& p) { p.weights[5]->dtype = fb::DType::bf16; }},
      {"entry prefill: instruction 2 (rms_norm, model.layers.0.input_layernorm): x [T, 8] and out "
       "[B, 8] must have the same rows",
       [](PlanT& p) { buffer(p, 3).rows = 1; }},
      {"entry prefill: instruction 10 (add_rms_norm, model.layers.0.post_attention_layernorm): x "
       "[T, 8] and y [T, 6] must have the same columns",
       [](PlanT& p) {
         kernel(p, kAddNorm).operands[1] = {fb::OperandKind::buffer, 12};
       }},
      {"entry prefill: instruction 6 (kv_write, model.layers.0.self_attn): k [T, 8] must have 4 "
       "columns",
       [](PlanT& p) {
         kernel(p, kKvWrite).operands[0] = {fb::OperandKind::buffer, 7};
       }},
      {attention + "head_dim must be from 4 to 4",
       [](PlanT& p) { setAttr(p, kAttention, fb::AttrKey::head_dim, 8, 0); }},
      {attention + "out [T, 12] must have 8 columns",
       [](PlanT& p) {
         kernel(p, kAttention).operands[2] = {fb::OperandKind::buffer, 11};
       }},
      {attention + "the cache keeps only the last 4 tokens; window or chunk must be at most that",
       [](PlanT& p) { p.page_groups[0]->window = 4; }},
      {"entry prefill: instruction 16 (last_token, model): out [T, 8] must have B rows",
       [](PlanT& p) {
         kernel(p, kLastToken).operands[1] = {fb::OperandKind::buffer, 10};
       }},
  });
}

// slice_columns in place of the last_token of the entry "logits", whose last GEMM then reads it.
TEST(VerifyProgram, SlicedColumns) {
  auto withRanges = [](std::vector<uint64_t> ranges) {
    return errorAfter([&](PlanT& p) {
      fb::EntryT& entry = *p.entries[kLogits];
      auto slice = std::make_unique<fb::InstructionT>();
      slice->module_ = "s";
      fb::KernelT kernel;
      kernel.kind = fb::KernelKind::slice_columns;
      uint32_t whole = entry.outputs[0]->buffer;
      auto out = std::make_unique<fb::BufferT>(*entry.buffers[whole]);
      out->cols = out->row_stride = 6;
      out->offset = entry.arena_bytes;
      entry.arena_bytes += 8 * 6 * 4;
      kernel.operands = {{fb::OperandKind::buffer, whole},
                         {fb::OperandKind::buffer, static_cast<uint32_t>(entry.buffers.size())}};
      kernel.ranges = std::move(ranges);
      entry.buffers.push_back(std::move(out));
      slice->body.Set(std::move(kernel));
      entry.instructions.push_back(std::move(slice));
    });
  };
  EXPECT_EQ(withRanges({0, 6}), "");
  EXPECT_EQ(withRanges({12, 16, 0, 2}), "");
  for (const std::vector<uint64_t>& bad : std::vector<std::vector<uint64_t>>{
           {}, {0}, {0, 5}, {0, 7}, {2, 2, 0, 6}, {12, 18}, {UINT64_MAX, 5}, {0, 6, 7}}) {
    EXPECT_NE(withRanges(bad), "") << bad.size();
  }
}

TEST(VerifyProgram, Collectives) {
  const std::string reduce = "entry prefill: instruction 1 (all_reduce, model.embed_tokens): ";
  const std::string gathered = "entry logits: instruction 17 (all_gather, lm_head): ";
  auto allReduce = [](PlanT& p) { return instruction(p, kAllReduce).body.AsCollective(); };
  check({
      {reduce + "is over mesh axis 1, which the plan doesn't have",
       [&](PlanT& p) { allReduce(p)->axis = 1; }},
      {reduce + "has no reason; `because` must name the rule or need that asked for it",
       [](PlanT& p) { instruction(p, kAllReduce).because.clear(); }},
      {reduce + "reduction must be sum",
       [&](PlanT& p) { allReduce(p)->reduction = fb::Reduction::none; }},
      {reduce + "counts, dimension, gates and experts mean nothing to all_reduce",
       [&](PlanT& p) { allReduce(p)->counts = {0}; }},
      {reduce + "input [T, 8] and output [T, 12] must have the same shape",
       [&](PlanT& p) { allReduce(p)->output = 11; }},
      {reduce + "buffers must have no gaps between their rows",
       [&](PlanT& p) { allReduce(p)->output = 7; }},
      {reduce + "buffer 19 does not exist; there are 19",
       [&](PlanT& p) { allReduce(p)->input = 19; }},
      {gathered + "has 1 counts; there must be one for each of 2 ranks",
       [](PlanT& p) { gather(p).counts.pop_back(); }},
      {gathered + "count 1 is size 3, which the plan doesn't have",
       [](PlanT& p) { gather(p).counts[1] = 3; }},
      {gathered + "the whole [T, 16] and this rank's part [T, 8] do not agree with the counts",
       [](PlanT& p) { gather(p).counts[1] = 1; }},
      {gathered + "the whole [T, 16] and this rank's part [T, 8] do not agree with the counts",
       [](PlanT& p) { gather(p).dimension = 0; }},
      {gathered + "dimension must be 0 (rows) or 1 (columns)",
       [](PlanT& p) { gather(p).dimension = 2; }},
      {gathered + "reduction must be none",
       [](PlanT& p) { gather(p).reduction = fb::Reduction::sum; }},
      {gathered + "peer means nothing to this collective", [](PlanT& p) { gather(p).peer = 1; }},
      {gathered + "experts mean nothing without gates",
       [](PlanT& p) {
         gather(p).experts = {0, 1, 1, 2};
       }},
      {gathered + "has gates, so the plan must need the feature expert_exchange",
       [](PlanT& p) { gather(p).gates = 0; }},
      {gathered + "gates go with rows",
       [](PlanT& p) {
         p.features = {"expert_exchange"};
         gather(p).gates = 0;
       }},
  });
}

// A buffer [rows, 8] of f32 behind all that the entry has.
uint32_t arenaBuffer(fb::EntryT& entry, uint32_t rows) {
  auto b = std::make_unique<fb::BufferT>();
  b->rows = rows;
  b->cols = b->row_stride = 8;
  b->offset = entry.arena_bytes;
  entry.arena_bytes += 8 * 8 * 4;
  entry.buffers.push_back(std::move(b));
  return static_cast<uint32_t>(entry.buffers.size()) - 1;
}

// A rank's own tokens, gates that are brought to all ranks, and the tokens that its experts are
// asked for.
TEST(VerifyProgram, Gates) {
  struct Parts {
    PlanT& plan;
    fb::CollectiveT &gates, &exchange;
  };
  const auto errorWith = [](const std::function<void(const Parts&)>& change) {
    return errorAfter([&](PlanT& p) {
      p.features = {"expert_exchange"};
      const auto size = [&](fb::SizeOp op, uint32_t x, uint32_t y, int64_t value) {
        p.sizes.push_back({op, x, y, value});
        return static_cast<uint32_t>(p.sizes.size()) - 1;
      };
      const uint32_t two = size(fb::SizeOp::constant, 0, 0, 2);
      const uint32_t none = size(fb::SizeOp::constant, 0, 0, 0);
      const auto rowsOf = [&](int64_t rank) {
        const uint32_t before = size(fb::SizeOp::constant, 0, 0, -rank);
        const uint32_t rest = size(fb::SizeOp::add, kT, before, 0);
        return size(fb::SizeOp::ceil_div, size(fb::SizeOp::max, rest, none, 0), two, 0);
      };
      const uint32_t own = rowsOf(0), other = rowsOf(1);
      fb::EntryT& entry = *p.entries[kPrefill];
      const auto arena = [&](uint32_t rows) { return arenaBuffer(entry, rows); };
      const uint32_t x = arena(kT), part = arena(own), all = arena(kT), asked = arena(kT);
      const auto add = [&](auto body) {
        entry.instructions.push_back(std::make_unique<fb::InstructionT>());
        entry.instructions.back()->because = "experts";
        entry.instructions.back()->body.Set(std::move(body));
      };
      fb::KernelT embedding = kernel(p, kEmbedding);
      embedding.operands.back() = fb::Operand(fb::OperandKind::buffer, x);
      add(std::move(embedding));
      fb::KernelT slice;
      slice.kind = fb::KernelKind::slice_rows;
      slice.operands = {fb::Operand(fb::OperandKind::buffer, x),
                        fb::Operand(fb::OperandKind::buffer, part)};
      slice.ranges = {0, 2};
      add(std::move(slice));
      const auto gatherInto = [&](uint32_t out) {
        fb::CollectiveT c;
        c.kind = fb::CollectiveKind::all_gather;
        c.input = part;
        c.output = out;
        c.counts = {own, other};
        return c;
      };
      add(gatherInto(all));
      fb::CollectiveT exchange = gatherInto(asked);
      exchange.gates = static_cast<int32_t>(all);
      exchange.experts = {0, 3, 3, 8};
      add(std::move(exchange));
      const auto last = [&](size_t i) -> fb::CollectiveT& {
        return *entry.instructions[entry.instructions.size() - i]->body.AsCollective();
      };
      change({p, last(2), last(1)});
    });
  };
  const std::string right = errorWith([](const Parts&) {});
  EXPECT_EQ(right, "");
  const std::string where = "rank_0.dplan: entry prefill: instruction 21 (all_gather, ): ";
  for (const std::vector<uint64_t>& experts :
       std::vector<std::vector<uint64_t>>{{}, {0, 8}, {0, 3, 3, 9}, {3, 0, 3, 8}}) {
    EXPECT_EQ(errorWith([&](const Parts& parts) { parts.exchange.experts = experts; }),
              where + "experts must be a begin and an end, among 8, for each of 2 ranks");
  }
  EXPECT_EQ(errorWith([](const Parts& parts) { parts.exchange.gates = 1000; }),
            where + "gates are buffer 1000, which does not exist");
  EXPECT_EQ(errorWith([](const Parts& parts) { parts.exchange.gates = 0; }),
            where + "gates must be f32 without gaps, one row for each of the whole");
  const std::string brought =
      where +
      "gates must come from an all_gather along the same axis, so that all ranks have the "
      "same";
  EXPECT_EQ(errorWith([](const Parts& parts) { parts.exchange.gates -= 2; }), brought);
  // Nor from one that brings each rank other rows.
  EXPECT_EQ(errorWith([](const Parts& parts) {
              auto& instructions = parts.plan.entries[kPrefill]->instructions;
              auto again = std::make_unique<fb::InstructionT>(*instructions.back());
              again->body.AsCollective()->gates = static_cast<int32_t>(parts.exchange.output);
              instructions.push_back(std::move(again));
            }),
            "rank_0.dplan: entry prefill: instruction 22 (all_gather, ): gates must come from an "
            "all_gather along the same axis, so that all ranks have the same");
}

// Tokens scattered over the ranks and gathered again, their number padded to that of the ranks.
TEST(VerifyProgram, RowsScatteredAndGathered) {
  auto withCount = [](uint32_t count_of_rank_1) {
    return errorAfter([&](PlanT& p) {
      constexpr uint32_t kPart = 4, kPadded = 5;
      p.sizes.push_back({fb::SizeOp::constant, 0, 0, 2});
      p.sizes.push_back({fb::SizeOp::ceil_div, kT, 3, 0});
      p.sizes.push_back({fb::SizeOp::mul, kPart, 3, 0});
      fb::EntryT& entry = *p.entries[kPrefill];
      uint32_t first = static_cast<uint32_t>(entry.buffers.size());
      for (uint32_t rows : {kPadded, kPart, kPadded}) arenaBuffer(entry, rows);
      for (uint32_t i : {0, 1}) {
        fb::CollectiveT c;
        c.kind = i == 0 ? fb::CollectiveKind::reduce_scatter : fb::CollectiveKind::all_gather;
        c.reduction = i == 0 ? fb::Reduction::sum : fb::Reduction::none;
        c.input = first + i;
        c.output = first + i + 1;
        c.counts = {kPart, count_of_rank_1};
        entry.instructions.push_back(std::make_unique<fb::InstructionT>());
        entry.instructions.back()->because = "tokens are cut";
        entry.instructions.back()->body.Set(std::move(c));
      }
    });
  };
  // The shapes agree; what remains is that no kernel of this version makes padded rows.
  EXPECT_EQ(
      withCount(4),
      "rank_0.dplan: entry prefill: instruction 18 (reduce_scatter, ): reads buffer 19 before "
      "all of it was written");
  EXPECT_EQ(
      withCount(kT),
      "rank_0.dplan: entry prefill: instruction 18 (reduce_scatter, ): the whole "
      "[ceil_div(T, 2) * 2, 8] and this rank's part [ceil_div(T, 2), 8] do not agree with the "
      "counts");
}

TEST(VerifyProgram, Outputs) {
  check({
      {"entry prefill: output logits is buffer 19, which the entry doesn't have",
       [](PlanT& p) { output(p).buffer = 19; }},
      {"entry prefill: output logits must be f32 in the arena",
       [](PlanT& p) { output(p).buffer = 0; }},
      {"entry prefill: output logits has 15 columns; the vocabulary has 16",
       [](PlanT& p) { output(p).columns = 15; }},
      {"entry prefill: output logits is cut over mesh axis 1, which the plan doesn't have",
       [](PlanT& p) { output(p).axis = 1; }},
      {"entry prefill: output logits is not cut, so its buffer must have its 16 columns",
       [](PlanT& p) { output(p).axis = -1; }},
      {"entry prefill: output logits must have one range of columns per coordinate of its axis",
       [](PlanT& p) { output(p).begins.pop_back(); }},
      {"entry prefill: output logits: the columns of coordinate 1 are outside of its 16",
       [](PlanT& p) { output(p).ends[1] = 17; }},
      {"entry prefill: output logits: this rank's columns are 7, its buffer has 8",
       [](PlanT& p) { output(p).begins[0] = 1; }},
      {"entry prefill: output logits: no rank holds column 8",
       [](PlanT& p) { output(p).begins[1] = 9; }},
  });
}

TEST(VerifyProgram, Dataflow) {
  auto instructions = [](PlanT & p) -> auto& { return p.entries[kPrefill]->instructions; };
  check({
      {"entry prefill: instruction 0 (all_reduce, model.embed_tokens): reads buffer 2 before all "
       "of "
       "it was written",
       [&](PlanT& p) { instructions(p).erase(instructions(p).begin() + kEmbedding); }},
      {"entry prefill: instruction 6 (attention, model.layers.0.self_attn): reads the cache "
       "model.layers.0.self_attn before the step's tokens are in it",
       [&](PlanT& p) { instructions(p).erase(instructions(p).begin() + kKvWrite); }},
      {"entry prefill: instruction 7 (kv_write, model.layers.0.self_attn): writes the cache "
       "model.layers.0.self_attn a second time",
       [&](PlanT& p) {
         auto copy = std::make_unique<fb::InstructionT>(*instructions(p)[kKvWrite]);
         instructions(p).insert(instructions(p).begin() + kAttention, std::move(copy));
       }},
      {"entry prefill: output logits is never written",
       [&](PlanT& p) { instructions(p).pop_back(); }},
      {"entry prefill: instruction 3 (gemm, model.layers.0.self_attn.q_proj+k_proj+v_proj): reads "
       "buffer 10 before all of it was written",
       [](PlanT& p) { gemm(p, kQkv).a = 10; }},
  });
}

TEST(VerifyProgram, InPlaceOnlyWhereAKernelAllowsIt) {
  const std::string refused = "; this operation cannot work in place";
  check({
      {"entry prefill: instruction 7 (attention, model.layers.0.self_attn): writes buffer 7 over "
       "its "
       "input buffer 7" +
           refused,
       [](PlanT& p) {
         kernel(p, kAttention).operands[2] = {fb::OperandKind::buffer, 7};
       }},
      {"entry prefill: instruction 10 (add_rms_norm, model.layers.0.post_attention_layernorm): "
       "writes buffer 6 over its input buffer 6" +
           refused,
       [](PlanT& p) {
         kernel(p, kAddNorm).operands[3] = {fb::OperandKind::buffer, 6};
       }},
      {"entry prefill: instruction 10 (add_rms_norm, model.layers.0.post_attention_layernorm): two "
       "outputs share buffer 10",
       [](PlanT& p) {
         kernel(p, kAddNorm).operands[3] = {fb::OperandKind::buffer, 10};
       }},
      // In place is the same columns, not others that overlap them.
      {"entry prefill: instruction 4 (rope, model.layers.0.self_attn): writes buffer 19 over its "
       "input buffer 7" +
           refused,
       [](PlanT& p) {
         p.entries[kPrefill]->buffers.push_back(std::make_unique<fb::BufferT>(buffer(p, 7)));
         buffer(p, 19).offset += 4 * testing::kHeadDim;
         kernel(p, kRopeQ).operands[3] = {fb::OperandKind::buffer, 19};
       }},
  });
}

TEST(VerifyProgram, BuffersAliveTogetherAreApart) {
  const std::string where =
      "entry prefill: instruction 13 (gemm, model.layers.0.mlp.down_proj): writes buffer 15, which "
      "shares memory with buffer ";
  check({
      {where + "2 while that is still needed",
       [](PlanT& p) { buffer(p, 15).offset = buffer(p, 2).offset; }},
      // Read by the same instruction.
      {where + "12 while that is still needed",
       [](PlanT& p) { buffer(p, 15).offset = buffer(p, 12).offset; }},
      // Its last bytes only.
      {where + "12 while that is still needed",
       [](PlanT& p) { buffer(p, 15).offset = buffer(p, 12).offset - 192; }},
      // An output lives to the end.
      {"entry prefill: instruction 18 (rms_norm, model.layers.0.input_layernorm): writes buffer "
       "19, "
       "which shares memory with buffer 18 while that is still needed",
       [](PlanT& p) {
         p.entries[kPrefill]->instructions.push_back(
             std::make_unique<fb::InstructionT>(instruction(p, kNorm)));
         auto late = std::make_unique<fb::BufferT>(buffer(p, 3));
         late->offset = buffer(p, 18).offset;
         p.entries[kPrefill]->arena_bytes = late->offset + 8 * 8 * 4;
         p.entries[kPrefill]->buffers.push_back(std::move(late));
         kernel(p, 18).operands[2] = {fb::OperandKind::buffer, 19};
       }},
  });
}

}  // namespace
}  // namespace dcc::plan
