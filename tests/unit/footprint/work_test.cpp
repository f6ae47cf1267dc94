// What instructions read and compute, against counts by hand.
#include "runtime/footprint/work.h"

#include <gtest/gtest.h>

#include "runtime/footprint/traffic.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/traffic.h"
#include "tests/unit/plan/example_plan.h"

namespace dcc::footprint {
namespace {

namespace fb = plan::fb;
using namespace plan::testing;
using Parts = std::vector<SequencePart>;

// The example plan's rank 0 of two, f32, after `change`; work of its instructions of a kind in the
// prefill entry.
class Counted {
 public:
  explicit Counted(const std::function<void(fb::PlanT&)>& change = [](fb::PlanT&) {}) {
    fb::PlanT plan = std::move(examplePlans({})[0]);
    change(plan);
    bytes_ = plan::pack(plan);
  }
  const fb::Plan& plan() const { return *fb::GetPlan(bytes_.data()); }
  const fb::Entry& entry() const { return *plan().entries()->Get(kPrefill); }

  std::vector<Work> of(const std::string& kind, const Parts& parts) const {
    int64_t tokens = 0;
    for (const SequencePart& part : parts) tokens += part.tokens;
    const std::vector<int64_t> sizes = sizesAt(plan(), tokens, static_cast<int64_t>(parts.size()));
    std::vector<Work> found;
    for (uint32_t i = 0; i < plan::rows(entry().instructions()).size(); ++i) {
      const fb::Instruction& instruction = *entry().instructions()->Get(i);
      const fb::Kernel* kernel = instruction.body_as_Kernel();
      const std::string name = instruction.body_as_Gemm() ? "gemm"
                               : kernel                   ? fb::EnumNameKernelKind(kernel->kind())
                                                          : "collective";
      if (name == kind) found.push_back(workOf(plan(), entry(), i, sizes, parts));
    }
    return found;
  }

 private:
  std::vector<uint8_t> bytes_;
};

TEST(Work, AMatrixIsReadOnceWhateverTheTokens) {
  const Counted counted;
  // qkv [16, 8], o [8, 8], gate and up [12, 8], down [8, 6], and of the last tokens the head [8,
  // 8].
  const std::vector<uint64_t> elements = {16 * 8, 8 * 8, 12 * 8, 8 * 6, 8 * 8};
  for (const int32_t tokens : {1, 5}) {
    const std::vector<Work> work = counted.of("gemm", {{0, tokens}});
    ASSERT_EQ(work.size(), elements.size());
    for (size_t i = 0; i < work.size(); ++i) {
      const bool head = i + 1 == work.size();
      EXPECT_EQ(work[i].bytes, 4 * elements[i]);
      EXPECT_EQ(work[i].flops, 2 * elements[i] * (head ? 1 : tokens));
    }
  }
}

TEST(Work, TablesByTheRowAndCollectivesByWhatIsPutIn) {
  const Counted counted;
  EXPECT_EQ(counted.of("embedding", {{0, 3}})[0].bytes, 3u * kHidden * 4);
  EXPECT_EQ(counted.of("collective", {{0, 3}})[0].bytes, 3u * kHidden * 4);
  EXPECT_EQ(counted.of("rms_norm", {{0, 3}})[0].bytes, kHidden * 4u);
  // One KV head of this rank: 4 columns of keys and 4 of values.
  EXPECT_EQ(counted.of("kv_write", {{0, 3}})[0].bytes, 3u * 8 * 4);
}

// Two heads of 4 columns on this rank, of one KV head.
Work pairs(uint64_t pairs, uint64_t slots) { return {slots * 8 * 4, 4 * pairs * 2 * 4}; }

void expectAttention(const Counted& counted, const Parts& parts, const Work& expected) {
  const Work work = counted.of("attention", parts)[0];
  EXPECT_EQ(work.flops, expected.flops);
  EXPECT_EQ(work.bytes, expected.bytes);
}

void limit(fb::PlanT& plan, fb::AttrKey key, int64_t value) {
  for (auto& instruction : plan.entries[kPrefill]->instructions) {
    fb::KernelT* kernel = instruction->body.AsKernel();
    if (kernel && kernel->kind == fb::KernelKind::attention) {
      kernel->attrs.push_back(fb::Attr(key, value, 0));
    }
  }
}

TEST(Work, AttentionSeesWhatCameBefore) {
  expectAttention(Counted(), {{0, 4}}, pairs(1 + 2 + 3 + 4, 4));
  expectAttention(Counted(), {{9, 1}, {0, 2}}, pairs(10 + 1 + 2, 10 + 2));
}

TEST(Work, AttentionSeesNoMoreThanItsWindow) {
  const Counted counted([](fb::PlanT& plan) { limit(plan, fb::AttrKey::window, 3); });
  expectAttention(counted, {{0, 5}}, pairs(1 + 2 + 3 + 3 + 3, 5));
  expectAttention(counted, {{9, 2}}, pairs(3 + 3, 4));
}

TEST(Work, AttentionSeesNoMoreThanItsChunk) {
  const Counted counted([](fb::PlanT& plan) { limit(plan, fb::AttrKey::chunk, 4); });
  // Positions 6 to 9: 4 5 6, 4 5 6 7, 8, 8 9.
  expectAttention(counted, {{6, 4}}, pairs(3 + 4 + 1 + 2, 6));
}

// The example's MLP as experts: logits of 8 columns, whose route chooses 2, of which this rank has
// the first 4, as it has with whole experts on every rank.
void addExperts(fb::PlanT& plan, bool sliced) {
  fb::EntryT& entry = *plan.entries[kPrefill];
  const auto buffer = [&](uint64_t cols) {
    auto made = std::make_unique<fb::BufferT>();
    made->rows = plan::kT;
    made->cols = made->row_stride = cols;
    entry.buffers.push_back(std::move(made));
    return fb::Operand(fb::OperandKind::buffer, static_cast<uint32_t>(entry.buffers.size() - 1));
  };
  const auto weight = [&](uint64_t rows, uint64_t cols) {
    auto made = std::make_unique<fb::WeightT>();
    made->rows = rows;
    made->cols = cols;
    made->dtype = fb::DType::bf16;
    plan.weights.push_back(std::move(made));
    return fb::Operand(fb::OperandKind::weight, static_cast<uint32_t>(plan.weights.size() - 1));
  };
  const auto kernel = [&](fb::KernelKind kind, std::vector<fb::Operand> operands,
                          std::vector<fb::Attr> attrs) {
    fb::KernelT made;
    made.kind = kind;
    made.operands = std::move(operands);
    made.attrs = std::move(attrs);
    entry.instructions.push_back(std::make_unique<fb::InstructionT>());
    entry.instructions.back()->body.Set(std::move(made));
  };
  const fb::Operand logits = buffer(8), gates = buffer(8), own = buffer(4), x = buffer(kHidden);
  kernel(fb::KernelKind::route, {logits, gates}, {fb::Attr(fb::AttrKey::k, 2, 0)});
  if (sliced) kernel(fb::KernelKind::slice_columns, {gates, own}, {});
  const uint64_t experts = sliced ? 4 : 8;
  kernel(fb::KernelKind::experts,
         {x, sliced ? own : gates, weight(experts * 6, kHidden), weight(experts * 6, kHidden),
          weight(experts * kHidden, 6), buffer(kHidden)},
         {});
}

TEST(Work, TokensAskForTheirExperts) {
  const uint64_t one = 3 * 6 * kHidden * 2;  // bytes: of one expert its three matrices
  const Counted whole([](fb::PlanT& plan) { addExperts(plan, false); });
  for (const auto& [tokens, read] : {std::pair{1, 2}, {3, 6}, {5, 8}}) {
    const Work work = whole.of("experts", {{0, tokens}})[0];
    EXPECT_EQ(work.bytes, read * one);
    EXPECT_EQ(work.flops, tokens * 2 * one);  // 2 experts; 2 operations for an element of 2 bytes
  }
  // Half of all experts are here: a token chooses one of them on average.
  const Counted part([](fb::PlanT& plan) { addExperts(plan, true); });
  const Work work = part.of("experts", {{0, 3}})[0];
  EXPECT_EQ(work.bytes, 3 * one);
  EXPECT_EQ(work.flops, 3 * one);

  const plan::WeightTraffic dense = plan::weightTraffic(Counted().plan(), kPrefill);
  const plan::WeightTraffic sparse = plan::weightTraffic(part.plan(), kPrefill);
  EXPECT_EQ(sparse.whole, dense.whole);
  EXPECT_EQ(sparse.experts, 4 * one);
  EXPECT_EQ(sparse.experts_of_token, one);
  EXPECT_EQ(sparse.expertsOf(3), 3 * one);
  EXPECT_EQ(sparse.expertsOf(UINT64_MAX), 4 * one);
}

}  // namespace
}  // namespace dcc::footprint
