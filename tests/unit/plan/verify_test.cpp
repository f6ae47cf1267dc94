// One broken rule at a time, each with the message that a user or the compiler's author would see.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "example_plan.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {
namespace {

using fb::PlanT;
using testing::examplePlans;
using testing::kLogits;
using testing::kPrefill;

std::string errorOf(const std::vector<uint8_t>& bytes) {
  auto plan = Plan::fromBytes(bytes, "rank_0.dplan");
  return plan.ok() ? "" : plan.error().message;
}

// The error after changing the example of rank 0, with hashes that fit.
std::string errorAfter(const std::function<void(PlanT&)>& change, uint32_t ranks = 2) {
  auto plans = examplePlans({.ranks = ranks});
  change(plans[0]);
  return errorOf(pack(plans[0]));
}

struct Case {
  std::string expected;  // after "rank_0.dplan: "
  std::function<void(PlanT&)> change;
};

void check(const std::vector<Case>& cases) {
  for (const Case& c : cases) EXPECT_EQ(errorAfter(c.change), "rank_0.dplan: " + c.expected);
}

fb::BufferT& buffer(PlanT& p, uint32_t i) { return *p.entries[kPrefill]->buffers[i]; }
fb::InstructionT& instruction(PlanT& p, uint32_t i) {
  return *p.entries[kPrefill]->instructions[i];
}
fb::KernelT& kernel(PlanT& p, uint32_t i) { return *instruction(p, i).body.AsKernel(); }
fb::GemmT& gemm(PlanT& p, uint32_t i) { return *instruction(p, i).body.AsGemm(); }
fb::OutputT& output(PlanT& p) { return *p.entries[kPrefill]->outputs[0]; }
// The all_gather at the end of the logits entry.
fb::CollectiveT& gather(PlanT& p) {
  return *p.entries[kLogits]->instructions.back()->body.AsCollective();
}
// Replaces an attribute of a kernel.
void setAttr(PlanT& p, uint32_t i, fb::AttrKey key, int64_t integer, double number) {
  for (fb::Attr& attr : kernel(p, i).attrs) {
    if (attr.key() == key) attr = {key, integer, number};
  }
}

// Instructions of the example's entry "prefill".
constexpr uint32_t kEmbedding = 0, kAllReduce = 1, kNorm = 2, kQkv = 3, kRopeQ = 4, kRopeK = 5,
                   kKvWrite = 6, kAttention = 7, kAddNorm = 10, kGated = 12, kLastToken = 16;

TEST(Verify, ExamplePlansAreValidAtEveryDegree) {
  for (uint32_t ranks : {1u, 2u, 4u}) {
    for (DType weights : {DType::kF32, DType::kBF16, DType::kF16}) {
      auto plans = examplePlans({.ranks = ranks, .weights = weights});
      for (const auto& bytes : packAll(plans)) EXPECT_EQ(errorOf(bytes), "");
    }
  }
}

TEST(Verify, NoPlanAtAll) {
  EXPECT_EQ(errorOf({}), "rank_0.dplan: is no plan or damaged; compile the model again");
  EXPECT_EQ(errorOf(std::vector<uint8_t>(1000, 'x')),
            "rank_0.dplan: is no plan or damaged; compile the model again");
  EXPECT_EQ(Plan::load("/none.dplan").error().message,
            "/none.dplan: cannot be read: No such file or directory");
}

TEST(Verify, EverythingUnknownIsListedAtOnce) {
  std::string message = errorAfter([](PlanT& p) {
    p.features = {"paged_v2", "quantised\n"};
    kernel(p, kNorm).kind = static_cast<fb::KernelKind>(77);
    kernel(p, kGated).kind = static_cast<fb::KernelKind>(78);
    p.weights[0]->pieces[0]->decoding = static_cast<fb::Decoding>(9);
    gather(p).kind = fb::CollectiveKind::all_to_all;
    gather(p).reduction = fb::Reduction::max;
    buffer(p, 3).dtype = static_cast<fb::DType>(20);
  });
  EXPECT_EQ(
      message,
      "rank_0.dplan: needs what this build does not have: collective all_to_all, decoding 9, "
      "dtype 20, feature paged_v2, feature quantised\\n, kernel 77, kernel 78, reduction max; "
      "use the version that compiled it (plan format 0.1) or compile the model again");
}

TEST(Verify, DamageIsNotTakenForNovelty) {
  auto plans = examplePlans();
  pack(plans[0]);
  kernel(plans[0], kNorm).kind = static_cast<fb::KernelKind>(77);
  flatbuffers::FlatBufferBuilder b;
  fb::FinishPlanBuffer(b, fb::Plan::Pack(b, &plans[0]));
  EXPECT_NE(errorOf({b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()})
                .find("is damaged: its program hashes to"),
            std::string::npos);
}

TEST(Verify, AnotherMajorVersion) {
  auto plans = examplePlans();
  pack(plans[0]);
  plans[0].major = 3;
  flatbuffers::FlatBufferBuilder b;
  fb::FinishPlanBuffer(b, fb::Plan::Pack(b, &plans[0]));
  EXPECT_EQ(
      errorOf({b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize()}),
      "rank_0.dplan: is of plan format 3.1; this build reads 0.x, so compile the model again");
}

TEST(Verify, HashesMustFit) {
  auto plans = examplePlans();
  pack(plans[0]);
  auto serialized = [&] {
    flatbuffers::FlatBufferBuilder b;
    fb::FinishPlanBuffer(b, fb::Plan::Pack(b, &plans[0]));
    return std::vector<uint8_t>(b.GetBufferPointer(), b.GetBufferPointer() + b.GetSize());
  };
  EXPECT_EQ(errorOf(serialized()), "");
  plans[0].collective_hashes[0] = fb::Hash128(1, 2);
  EXPECT_NE(errorOf(serialized()).find("the collective hash of axis tp is not that"),
            std::string::npos);
  pack(plans[0]);
  plans[0].program_hash = std::make_unique<fb::Hash128>(1, 2);
  EXPECT_NE(errorOf(serialized()).find("is damaged: its program hashes to"), std::string::npos);
  pack(plans[0]);
  plans[0].program_hash.reset();
  EXPECT_NE(errorOf(serialized()).find("has no hashes"), std::string::npos);
}

TEST(Verify, Header) {
  check({
      {"its mesh must have from 1 to 65536 ranks", [](PlanT& p) { p.mesh[0]->size = 0; }},
      {"its mesh must have from 1 to 65536 ranks", [](PlanT& p) { p.mesh[0]->size = 1 << 20; }},
      {"is of rank 2 of 2", [](PlanT& p) { p.rank = 2; }},
      {"the names of mesh axes must be unique and not empty",
       [](PlanT& p) { p.mesh[0]->name = ""; }},
      {"its step variables must be T and B, in this order",
       [](PlanT& p) {
         p.variables = {"B", "T"};
       }},
      {"max_tokens, max_seqs, max_seq_len and vocab_size must be from 1 to 2147483647",
       [](PlanT& p) { p.vocab_size = 0; }},
      {"has no entries", [](PlanT& p) { p.entries.clear(); }},
      {"entry prefill: its name must be unique and not empty",
       [](PlanT& p) { p.entries[1]->name = "prefill"; }},
      {"entry prefill: must have one bound for each of T and B",
       [](PlanT& p) { p.entries[0]->bounds = {8}; }},
      {"entry prefill: its bounds T <= 0, B <= 2 must be from 1 to the plan's max_tokens and "
       "max_seqs",
       [](PlanT& p) { p.entries[0]->bounds[0] = 0; }},
      {"max_tokens and max_seqs must be the largest bounds of its entries",
       [](PlanT& p) { p.max_tokens = 9; }},
  });
}

TEST(Verify, WeightsAndPieces) {
  const std::string qkv =
      "weight model.layers.0.self_attn.q_proj.weight+model.layers.0.self_attn."
      "k_proj.weight+model.layers.0.self_attn.v_proj.weight: ";
  check({
      {"file ../../etc/passwd: must be a path below the checkpoint's directory",
       [](PlanT& p) { p.files[0]->path = "../../etc/passwd"; }},
      {"file model.safetensors: has no header hash",
       [](PlanT& p) { p.files[0]->header_hash.reset(); }},
      {qkv + "piece 1 (model.layers.0.self_attn.k_proj.weight): comes from file 1, which the plan "
             "doesn't have",
       [](PlanT& p) { p.weights[1]->pieces[1]->file = 1; }},
      {qkv + "piece 0 (model.layers.0.self_attn.q_proj.weight): reads beyond the 4000 bytes of "
             "model.safetensors",
       [](PlanT& p) { p.weights[1]->pieces[0]->source_offset = 4000 - 64 * 4 + 1; }},
      {qkv + "piece 0 (model.layers.0.self_attn.q_proj.weight): is empty",
       [](PlanT& p) { p.weights[1]->pieces[0]->run = 0; }},
      {qkv + "piece 2 (model.layers.0.self_attn.v_proj.weight): does not fit into the weight's 128 "
             "elements",
       [](PlanT& p) { p.weights[1]->pieces[2]->dest_offset++; }},
      {qkv + "its pieces do not fill each of its 128 elements exactly once",
       [](PlanT& p) { p.weights[1]->pieces[1]->dest_offset = 0; }},
      {qkv + "its pieces do not fill each of its 128 elements exactly once",
       [](PlanT& p) { p.weights[1]->pieces.pop_back(); }},
      {"weight lm_head.weight: piece 0 (lm_head.weight): u8 cannot be converted to f32",
       [](PlanT& p) { p.weights[8]->pieces[0]->source_dtype = fb::DType::u8; }},
      {"weight lm_head.weight: has the impossible shape [4611686018427387904, 8]",
       [](PlanT& p) { p.weights[8]->rows = uint64_t{1} << 62; }},
      {"weight lm_head.weight: begins at the impossible row 18446744073709551615",
       [](PlanT& p) { p.weights[8]->row_origin = UINT64_MAX; }},
      {"constant rope frequencies: holds a value that is not finite",
       [](PlanT& p) { p.constants[0]->values[0] = INFINITY; }},
  });
}

// Pieces of the down projection's weight, [8, 6]: which ways to fill it are accepted.
TEST(Verify, PiecesMayInterleave) {
  struct Runs {
    uint64_t begin, run, count, stride;
  };
  auto withPieces = [](std::vector<Runs> all) {
    return errorAfter([&](PlanT& p) {
      auto& pieces = p.weights[4]->pieces;
      for (const Runs& runs : all) {
        auto piece = std::make_unique<fb::PieceT>(*pieces[0]);
        piece->dest_offset = runs.begin;
        piece->run = runs.run;
        piece->count = runs.count;
        piece->dest_stride = runs.stride;
        piece->source_stride = 0;
        pieces.push_back(std::move(piece));
      }
      pieces.erase(pieces.begin());
    });
  };
  EXPECT_EQ(withPieces({{0, 48, 1, 0}}), "");
  EXPECT_EQ(withPieces({{0, 6, 8, 6}}), "");
  EXPECT_EQ(withPieces({{4, 2, 8, 6}, {0, 4, 8, 6}}), "");  // columns side by side
  EXPECT_EQ(withPieces({{0, 4, 3, 6}, {4, 2, 3, 6}, {18, 30, 1, 0}}), "");
  EXPECT_EQ(withPieces({{0, 6, 4, 12}, {6, 6, 4, 12}}), "");  // alternating rows
  EXPECT_EQ(withPieces({{0, 1, 8, 6}, {1, 1, 8, 6}, {2, 1, 8, 6}, {3, 3, 8, 6}}), "");
  EXPECT_NE(withPieces({{0, 4, 8, 6}}), "");                   // gaps
  EXPECT_NE(withPieces({{0, 4, 8, 6}, {3, 2, 8, 6}}), "");     // overlap and gap
  EXPECT_NE(withPieces({{0, 4, 8, 6}, {4, 2, 7, 6}}), "");     // last row not filled
  EXPECT_NE(withPieces({{0, 24, 1, 0}, {23, 25, 1, 0}}), "");  // overlap
  EXPECT_NE(withPieces({{0, 24, 1, 0}, {25, 23, 1, 0}}), "");  // gap
  EXPECT_NE(withPieces({{1, 47, 1, 0}}), "");                  // gap at the start
  EXPECT_NE(withPieces({{0, 47, 1, 0}}), "");                  // gap at the end
  EXPECT_NE(withPieces({{0, 48, 1, 0}, {0, 48, 1, 0}}), "");   // twice
  EXPECT_NE(withPieces({{0, 6, uint64_t{1} << 60, 0}}), "");   // endless
  EXPECT_NE(withPieces({{0, 2, UINT64_MAX / 2, 4}}), "");      // overflow
}

TEST(Verify, Caches) {
  check({
      {"page group full: must have pages, at most 2147483647, and tokens in them",
       [](PlanT& p) { p.page_groups[0]->pages = 0; }},
      {"page group full: 8 pages of 0 bytes are impossible",
       [](PlanT& p) { p.page_groups[0]->bytes_per_page = 0; }},
      {"page group full: cache model.layers.0.self_attn ends at byte 128 of pages of 127",
       [](PlanT& p) { p.page_groups[0]->bytes_per_page = 127; }},
      {"page group full: cache model.layers.0.self_attn overlaps another one",
       [](PlanT& p) { p.caches[0]->v_offset = 60; }},
      {"cache model.layers.0.self_attn: is in page group 3, which the plan doesn't have",
       [](PlanT& p) { p.caches[0]->group = 3; }},
      {"cache model.layers.0.self_attn: must be f32, bf16 or f16",
       [](PlanT& p) { p.caches[0]->dtype = fb::DType::u8; }},
      {"cache model.layers.0.self_attn: its keys or values have an impossible place or size",
       [](PlanT& p) { p.caches[0]->k_offset = 1; }},
  });
}

TEST(Verify, Buffers) {
  check({
      {"entry prefill: buffer 3 has as rows size 9, which the plan doesn't have",
       [](PlanT& p) { buffer(p, 3).rows = 9; }},
      {"entry prefill: buffer 3 must have columns and a row stride of at least as many",
       [](PlanT& p) { buffer(p, 3).row_stride = 7; }},
      {"entry prefill: buffer 18 ends outside the arena of 3136 bytes",
       [](PlanT& p) { buffer(p, 18).offset = 3136; }},
      {"entry prefill: buffer 3 ends outside the arena of 3136 bytes",
       [](PlanT& p) { buffer(p, 3).row_stride = UINT64_MAX / 2; }},
      {"entry prefill: buffer 3 is at byte 260, not at a multiple of 64",
       [](PlanT& p) { buffer(p, 3).offset = 260; }},
      {"entry prefill: buffer 0 is a step input; it must be i32 [T, 1]",
       [](PlanT& p) { buffer(p, 0).dtype = fb::DType::f32; }},
      {"entry prefill: buffer 7 is a view of buffer 8; it must be of one that comes before it",
       [](PlanT& p) { buffer(p, 7).view_of = 8; }},
      {"entry prefill: buffer 7 is a view of buffer -2; it must be of one that comes before it",
       [](PlanT& p) { buffer(p, 7).view_of = -2; }},
      {"entry prefill: buffer 8 is not a range of the columns of buffer 7, of which it is a view",
       [](PlanT& p) { buffer(p, 8).view_of = 7; }},
      {"entry prefill: buffer 9 is not a range of the columns of buffer 4, of which it is a view",
       [](PlanT& p) { buffer(p, 9).offset += 4; }},
      {"entry prefill: buffer 7 is not a range of the columns of buffer 4, of which it is a view",
       [](PlanT& p) { buffer(p, 7).rows = 2; }},
      {"entry prefill: buffer 3 may have less than 0 rows: (T + -2)",
       [](PlanT& p) {
         p.sizes.push_back({fb::SizeOp::constant, 0, 0, -2});
         p.sizes.push_back({fb::SizeOp::add, 0, 3, 0});
         buffer(p, 3).rows = 4;
       }},
  });
}

TEST(Verify, Gemms) {
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
      {where + "buffers must be f32", [](PlanT& p) { gemm(p, kQkv).a = 0; }},
      {"entry prefill: instruction 3 (none, model.layers.0.self_attn.q_proj+k_proj+v_proj): has no "
       "body",
       [](PlanT& p) { instruction(p, kQkv).body = {}; }},
  });
}

TEST(Verify, KernelOperandsAndAttributes) {
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
      {rope + "theta, factor and original_positions must come together",
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
       "from "
       "0 to 3",
       [](PlanT& p) { setAttr(p, kGated, fb::AttrKey::function, 4, 0); }},
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

TEST(Verify, KernelShapes) {
  const std::string attention =
      "entry prefill: instruction 7 (attention, model.layers.0.self_attn): ";
  check({
      {"entry prefill: instruction 0 (embedding, model.embed_tokens): tokens must be the step's "
       "tokens",
       [](PlanT& p) {
         kernel(p, kEmbedding).operands[0] = {fb::OperandKind::buffer, 1};
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
      {attention + "the cache keeps only the last 4 tokens; window must be at most that",
       [](PlanT& p) { p.page_groups[0]->window = 4; }},
      {"entry prefill: instruction 16 (last_token, model): out [T, 8] must have B rows",
       [](PlanT& p) {
         kernel(p, kLastToken).operands[1] = {fb::OperandKind::buffer, 10};
       }},
  });
}

// slice_columns in place of the last_token of the entry "logits", whose last GEMM then reads it.
TEST(Verify, SlicedColumns) {
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
  for (std::vector<uint64_t> bad : std::vector<std::vector<uint64_t>>{
           {}, {0}, {0, 5}, {0, 7}, {2, 2, 0, 6}, {12, 18}, {UINT64_MAX, 5}, {0, 6, 7}}) {
    EXPECT_NE(withRanges(bad), "") << bad.size();
  }
}

TEST(Verify, Collectives) {
  const std::string reduce = "entry prefill: instruction 1 (all_reduce, model.embed_tokens): ";
  const std::string gathered = "entry logits: instruction 17 (all_gather, lm_head): ";
  auto allReduce = [](PlanT& p) { return instruction(p, kAllReduce).body.AsCollective(); };
  check({
      {reduce + "is over mesh axis 1, which the plan doesn't have",
       [&](PlanT& p) { allReduce(p)->axis = 1; }},
      {reduce + "reduction must be sum",
       [&](PlanT& p) { allReduce(p)->reduction = fb::Reduction::none; }},
      {reduce + "counts and dimension mean nothing to all_reduce",
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
  });
}

// Tokens scattered over the ranks and gathered again, their number padded to that of the ranks.
TEST(Verify, RowsScatteredAndGathered) {
  auto withCount = [](uint32_t count_of_rank_1) {
    return errorAfter([&](PlanT& p) {
      constexpr uint32_t kPart = 4, kPadded = 5;
      p.sizes.push_back({fb::SizeOp::constant, 0, 0, 2});
      p.sizes.push_back({fb::SizeOp::ceil_div, kT, 3, 0});
      p.sizes.push_back({fb::SizeOp::mul, kPart, 3, 0});
      fb::EntryT& entry = *p.entries[kPrefill];
      uint32_t first = static_cast<uint32_t>(entry.buffers.size());
      for (uint32_t rows : {kPadded, kPart, kPadded}) {
        auto b = std::make_unique<fb::BufferT>();
        b->rows = rows;
        b->cols = b->row_stride = 8;
        b->offset = entry.arena_bytes;
        entry.arena_bytes += 8 * 8 * 4;
        entry.buffers.push_back(std::move(b));
      }
      for (uint32_t i : {0, 1}) {
        fb::CollectiveT c;
        c.kind = i == 0 ? fb::CollectiveKind::reduce_scatter : fb::CollectiveKind::all_gather;
        c.reduction = i == 0 ? fb::Reduction::sum : fb::Reduction::none;
        c.input = first + i;
        c.output = first + i + 1;
        c.counts = {kPart, count_of_rank_1};
        entry.instructions.push_back(std::make_unique<fb::InstructionT>());
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

TEST(Verify, Outputs) {
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

TEST(Verify, Dataflow) {
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

TEST(Verify, InPlaceOnlyWhereAKernelAllowsIt) {
  const std::string refused = "; this operation cannot work in place";
  check({
      {"entry prefill: instruction 2 (rms_norm, model.layers.0.input_layernorm): writes buffer 2 "
       "over its input buffer 2" +
           refused,
       [](PlanT& p) {
         kernel(p, kNorm).operands[2] = {fb::OperandKind::buffer, 2};
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

TEST(Verify, BuffersAliveTogetherAreApart) {
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
