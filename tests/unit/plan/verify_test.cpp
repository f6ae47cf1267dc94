// One broken rule at a time, each with the message that a user or the compiler's author would see.
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/plan/access.h"
#include "verify_support.h"

namespace dcc::plan {
namespace {

using namespace testing;  // the whole file is about its helpers

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
      "use the version that compiled it (plan format 0.3) or compile the model again");
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
      "rank_0.dplan: is of plan format 3.3; this build reads 0.x, so compile the model again");
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

TEST(Verify, RandomFiles) {
  auto errorWith = [](const std::function<void(PlanT&)>& change) {
    auto plans = examplePlans({.seed = 7});
    change(plans[0]);
    return errorOf(pack(plans[0]));
  };
  auto draw = [](float mean, float spread) {
    return [=](PlanT& p) { *p.files[0]->random = fb::Random(7, mean, spread); };
  };
  const std::string where = "rank_0.dplan: file model.safetensors: is ";
  EXPECT_EQ(errorWith([](PlanT&) {}), "");
  EXPECT_EQ(errorWith(draw(0, 0)), "");
  EXPECT_EQ(errorWith(draw(-3, 1e30f)), "");
  EXPECT_EQ(errorWith(draw(0, -1)),
            where + "drawn from 0.000000 +- -1.000000; finite numbers are expected");
  EXPECT_EQ(errorWith(draw(NAN, 1)),
            where + "drawn from nan +- 1.000000; finite numbers are expected");
  EXPECT_EQ(errorWith(draw(0, INFINITY)),
            where + "drawn from 0.000000 +- inf; finite numbers are expected");
  EXPECT_EQ(errorWith([](PlanT& p) { p.features.clear(); }),
            where + "random, so the plan must need the feature random_weights");
  auto piece = [&](auto change) {
    return errorWith([&](PlanT& p) { change(*p.weights[8]->pieces[0], *p.weights[8]); });
  };
  const std::string refused =
      "rank_0.dplan: weight lm_head.weight: piece 0 (lm_head.weight): what is drawn at random is a "
      "whole f32, bf16 or f16";
  EXPECT_EQ(piece([](fb::PieceT& p, fb::WeightT&) { p.source_offset -= 2; }), refused);
  EXPECT_EQ(piece([](fb::PieceT& p, fb::WeightT& w) { p.source_dtype = w.dtype = fb::DType::i32; }),
            refused);
  EXPECT_NE(piece([](fb::PieceT& p, fb::WeightT&) {
              p.source_offset += 4000;
            }).find("reads beyond the 4000 bytes"),
            std::string::npos);
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

}  // namespace
}  // namespace dcc::plan
