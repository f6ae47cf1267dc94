#include <gtest/gtest.h>

#include "example_plan.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {
namespace {

std::string dumpOf(fb::PlanT& plan) {
  return dump(*Plan::fromBytes(pack(plan), "rank.dplan").value());
}

TEST(Dump, ReadsWell) {
  auto plans = testing::examplePlans();
  std::string text = dumpOf(plans[1]);
  for (const char* line : {
           "plan 0.3: example llama, 1 layer\n",
           "rank 1 of <tp = 2>\n",
           "size 2 = 8\n",
           "weight 0 model.embed_tokens.weight: f32 [8, 8] from row 8\n",
           "  piece at 0: 8 x 8 every 16 to every 8 from file 0 byte 2192, bf16 "
           "model.layers.0.self_attn.o_proj.weight\n",
           "cache 0 model.layers.0.self_attn: group 0, 1 heads, k 4 at 0, v 4 at 64, f32\n",
           "entry prefill, T <= 8, B <= 2, arena 3136\n",
           "  b8 f32 [T, 4] arena 544, view of b4, stride 16\n",
           "  4: b7 = rope b7, b1, constant 0, head_dim 4, scale 1  # model.layers.0.self_attn\n",
           "  6: kv_write b8, b9, cache 0  # model.layers.0.self_attn\n",
           "  8: b6 = gemm b5, w2  # model.layers.0.self_attn.o_proj\n",
           "  9: b6 = all_reduce b6 over tp, sum  # model.layers.0.self_attn.o_proj because "
           "model.layers.*.self_attn.o_proj = rowwise\n",
           "  17: b18 = all_gather b17 over tp, columns 8 8  # lm_head because ",
           "  output logits = b18, 16 columns, cut over tp: 0-8 8-16\n",
       }) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "is not in\n" << text;
  }
}

TEST(Dump, ShowsHowSumsAreMade) {
  auto plans = testing::examplePlans({.numerics = fb::Numerics::invariant});
  const std::string text = dumpOf(plans[1]);
  for (const char* line :
       {"feature invariant_numerics\n", "numerics invariant\n", "b6 = gemm b5, w2, chunks 2  #",
        "b6 = all_reduce b6 over tp, tree_sum  #"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "is not in\n" << text;
  }
}

TEST(Dump, IsStableAndShowsEveryPlanApart) {
  auto a = testing::examplePlans(), b = testing::examplePlans();
  EXPECT_EQ(dumpOf(a[0]), dumpOf(b[0]));
  EXPECT_NE(dumpOf(a[0]), dumpOf(a[1]));
}

TEST(Dump, ARandomFileSaysHowItIsDrawn) {
  auto plans = testing::examplePlans({.seed = UINT64_MAX});
  EXPECT_NE(dumpOf(plans[0]).find("file 0 model.safetensors: 4000 bytes, random by seed "
                                  "18446744073709551615, 1 +- 0.5\n"),
            std::string::npos);
}

TEST(Dump, NamesCannotBreakLines) {
  auto plans = testing::examplePlans();
  plans[0].weights[0]->module_ = "evil\nweight";
  EXPECT_NE(dumpOf(plans[0]).find("weight 0 evil\\nweight: "), std::string::npos);
}

}  // namespace
}  // namespace dcc::plan
