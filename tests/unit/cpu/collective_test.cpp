// Collectives of a plan on dense and strided buffers, cut along rows and columns, even and not, and
// of the rows that experts are asked for.
#include <gtest/gtest.h>

#include <thread>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/plan/plan.h"
#include "test_communicator.h"

namespace dcc {
namespace {

namespace fb = plan::fb;

constexpr int64_t kRows = 5, kCols = 7;
constexpr int64_t kExperts = 6;
constexpr int64_t kGates = 2048;  // where in the arena, in elements
constexpr int64_t kGap = 3;       // elements between the rows of a strided buffer

// One instruction on two buffers of one plan per rank: the input at the arena's start, the output
// behind it (or the same).
struct Case {
  fb::CollectiveKind kind;
  uint8_t dimension = 0;
  std::vector<int64_t> counts = {};  // one per rank
  bool strided = false;
  bool in_place = false;
  uint32_t ranks = 3;
  std::vector<uint64_t> experts = {};  // of each rank: begin, end
};

class Collective : public ::testing::TestWithParam<Case> {
 protected:
  // What rank `rank` holds of the input, and of the result.
  struct Shape {
    int64_t rows, cols;
  };
  Shape inputOf(uint32_t rank) const {
    const Case& c = GetParam();
    if (c.kind != fb::CollectiveKind::all_gather) return {kRows, kCols};
    return c.dimension == 0 ? Shape{c.counts[rank], kCols} : Shape{kRows, c.counts[rank]};
  }
  Shape outputOf(uint32_t rank) const {
    const Case& c = GetParam();
    if (c.kind != fb::CollectiveKind::reduce_scatter) return {kRows, kCols};
    return c.dimension == 0 ? Shape{c.counts[rank], kCols} : Shape{kRows, c.counts[rank]};
  }
  int64_t stride(int64_t cols) const { return cols + (GetParam().strided ? kGap : 0); }
  int64_t offset(uint32_t rank) const {  // of the output, in elements
    if (GetParam().in_place) return 0;
    const Shape in = inputOf(rank);
    return (in.rows * stride(in.cols) + 15) / 16 * 16;
  }
  int64_t first(uint32_t rank) const {
    int64_t before = 0;
    for (uint32_t r = 0; r < rank; ++r) before += GetParam().counts[r];
    return before;
  }

  // Row 1 asks nobody, row 4 everybody.
  static float gate(int64_t row, int64_t expert) {
    if (row == 1) return 0;
    return row == 4 || (row + expert) % 3 == 0 ? 0.25f : 0.0f;
  }
  bool asked(uint32_t rank, int64_t row) const {
    const std::vector<uint64_t>& experts = GetParam().experts;
    if (experts.empty()) return true;
    for (uint64_t e = experts[2 * rank]; e < experts[2 * rank + 1]; ++e) {
      if (gate(row, static_cast<int64_t>(e)) != 0) return true;
    }
    return false;
  }

  static float value(uint32_t rank, int64_t r, int64_t c) {
    return static_cast<float>(rank * 100 + r * 10 + c);
  }
  float expected(uint32_t rank, int64_t r, int64_t c) const {
    const Case& p = GetParam();
    if (p.kind == fb::CollectiveKind::all_gather) {
      if (!asked(rank, r)) return 0;
      int64_t& along = p.dimension == 0 ? r : c;
      for (uint32_t from = 0; from < p.ranks; ++from) {
        if (along < p.counts[from]) return value(from, r, c);
        along -= p.counts[from];
      }
    }
    if (p.kind == fb::CollectiveKind::reduce_scatter) {
      (p.dimension == 0 ? r : c) += first(rank);
    }
    float sum = 0;
    for (uint32_t from = 0; from < p.ranks; ++from) {
      if (asked(from, r)) sum += value(from, r, c);
    }
    return sum;
  }

  std::vector<uint8_t> plan(uint32_t rank) const {
    const Case& c = GetParam();
    fb::PlanT plan;
    plan.mesh.push_back(std::make_unique<fb::AxisT>());
    plan.mesh[0]->name = "tp";
    plan.mesh[0]->size = c.ranks;
    plan.rank = rank;
    plan.variables = {"T", "B"};
    plan.max_tokens = plan.max_seqs = 1;
    fb::EntryT entry;
    entry.bounds = {1, 1};
    const auto buffer = [&](Shape shape, int64_t at) {
      auto b = std::make_unique<fb::BufferT>();
      b->rows = static_cast<uint32_t>(plan.sizes.size());
      plan.sizes.push_back({fb::SizeOp::constant, 0, 0, shape.rows});
      b->cols = shape.cols;
      b->row_stride = stride(shape.cols);
      b->offset = at * sizeof(float);
      entry.buffers.push_back(std::move(b));
    };
    buffer(inputOf(rank), 0);
    buffer(outputOf(rank), offset(rank));
    fb::CollectiveT collective;
    collective.kind = c.kind;
    collective.reduction =
        c.kind == fb::CollectiveKind::all_gather ? fb::Reduction::none : fb::Reduction::sum;
    collective.output = 1;
    collective.dimension = c.dimension;
    for (int64_t count : c.counts) {
      collective.counts.push_back(static_cast<uint32_t>(plan.sizes.size()));
      plan.sizes.push_back({fb::SizeOp::constant, 0, 0, count});
    }
    if (!c.experts.empty()) {
      buffer({kRows, kExperts}, kGates);
      entry.buffers.back()->row_stride = kExperts;
      collective.gates = 2;
      collective.experts = c.experts;
    }
    entry.instructions.push_back(std::make_unique<fb::InstructionT>());
    entry.instructions[0]->body.Set(std::move(collective));
    plan.entries.push_back(std::make_unique<fb::EntryT>(std::move(entry)));
    return plan::pack(plan);
  }

  void run(uint32_t rank, Communicator* group) {
    const auto bytes = plan(rank);
    const fb::Plan& plan = *fb::GetPlan(bytes.data());
    const auto backend = makeCpuBackend({1});
    ASSERT_TRUE(backend->check(plan).ok());
    PlanMemory memory;
    const size_t floats = 4096;
    memory.arena = backend->allocate(MemoryUse::kArena, floats * sizeof(float)).value();
    float* arena = reinterpret_cast<float*>(memory.arena);
    const float untouched = -1;
    std::fill(arena, arena + floats, untouched);
    std::vector<float> want(arena, arena + floats);

    const Shape in = inputOf(rank), out = outputOf(rank);
    for (int64_t r = 0; r < in.rows; ++r) {
      for (int64_t c = 0; c < in.cols; ++c) {
        arena[r * stride(in.cols) + c] = want[r * stride(in.cols) + c] = value(rank, r, c);
      }
    }
    for (int64_t i = 0; i < kRows * kExperts && !GetParam().experts.empty(); ++i) {
      arena[kGates + i] = want[kGates + i] = gate(i / kExperts, i % kExperts);
    }
    for (int64_t r = 0; r < out.rows; ++r) {
      for (int64_t c = 0; c < out.cols; ++c) {
        want[offset(rank) + r * stride(out.cols) + c] = expected(rank, r, c);
      }
    }

    Communicator* axes[] = {group};
    auto program = backend->prepare(plan, 0, memory, axes);
    ASSERT_TRUE(program.ok());
    std::vector<int64_t> sizes(plan.sizes()->size());
    plan::evaluateSizes(plan, {}, sizes);
    Step step;
    const int32_t token = 0, starts[] = {0, 1};
    step.tokens = step.positions = step.rope_lengths = {&token, 1};
    step.starts = starts;
    std::atomic<uint32_t> position{0};
    const Status status = (*program)->run({step, sizes, position});
    ASSERT_TRUE(status.ok()) << status.error().message;
    for (size_t i = 0; i < floats; ++i)
      ASSERT_EQ(arena[i], want[i]) << "rank " << rank << ", " << i;
  }
};

TEST_P(Collective, MovesAndSums) {
  const uint32_t ranks = GetParam().ranks;
  testing::TestGroup group(ranks);
  std::vector<std::thread> threads;
  for (uint32_t r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] { run(r, ranks > 1 ? group.rank(r) : nullptr); });
  }
  for (auto& thread : threads) thread.join();
}

std::vector<Case> cases() {
  using Kind = fb::CollectiveKind;
  std::vector<Case> all;
  for (bool strided : {false, true}) {
    all.push_back({.kind = Kind::all_reduce, .strided = strided});
    all.push_back({.kind = Kind::all_reduce, .strided = strided, .in_place = true});
    for (Kind kind : {Kind::all_gather, Kind::reduce_scatter}) {
      all.push_back({.kind = kind, .dimension = 0, .counts = {2, 0, 3}, .strided = strided});
      all.push_back({.kind = kind, .dimension = 1, .counts = {3, 1, 3}, .strided = strided});
      all.push_back({.kind = kind, .counts = {kRows}, .strided = strided, .ranks = 1});
      all.push_back({.kind = kind,
                     .counts = {2, 0, 3},
                     .strided = strided,
                     .experts = {0, 2, 2, 2, 2, kExperts}});
    }
    all.push_back({.kind = Kind::all_reduce, .strided = strided, .ranks = 1});
    all.push_back({.kind = Kind::all_reduce, .strided = strided, .in_place = true, .ranks = 1});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Cpu, Collective, ::testing::ValuesIn(cases()), [](const auto& info) {
  const Case& c = info.param;
  return std::string(fb::EnumNameCollectiveKind(c.kind)) + (c.dimension ? "_columns" : "_rows") +
         (c.experts.empty() ? "" : "_experts") + (c.strided ? "_strided" : "") +
         (c.in_place ? "_in_place" : "") + "_ranks" + std::to_string(c.ranks);
});

}  // namespace
}  // namespace dcc
