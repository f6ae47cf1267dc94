#include "benchmarks/cpu/machine.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "runtime/backends/cpu/amx_tiles.h"
#include "runtime/backends/cpu/instruction_set.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "benchmarks/cpu/machine.cpp"
#include "hwy/foreach_target.h"
#include "runtime/backends/cpu/dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dcc::cpu::HWY_NAMESPACE {
// `rounds` times 12 independent multiply-adds of vectors; returns the operations done, or a
// negative number, so that the arithmetic is needed. Starting values differ: equal chains would be
// merged.
double multiplyAdd(int64_t rounds) {
  const hn::ScalableTag<float> d;
  const auto x = hn::Set(d, 0.999f), y = hn::Set(d, 0.001f);
  const auto start = [&](int i) { return hn::Iota(d, static_cast<float>(i)); };
  auto v0 = start(0), v1 = start(1), v2 = start(2), v3 = start(3), v4 = start(4), v5 = start(5);
  auto v6 = start(6), v7 = start(7), v8 = start(8), v9 = start(9), v10 = start(10), v11 = start(11);
  for (int64_t i = 0; i < rounds; ++i) {
    v0 = hn::MulAdd(v0, x, y), v1 = hn::MulAdd(v1, x, y), v2 = hn::MulAdd(v2, x, y);
    v3 = hn::MulAdd(v3, x, y), v4 = hn::MulAdd(v4, x, y), v5 = hn::MulAdd(v5, x, y);
    v6 = hn::MulAdd(v6, x, y), v7 = hn::MulAdd(v7, x, y), v8 = hn::MulAdd(v8, x, y);
    v9 = hn::MulAdd(v9, x, y), v10 = hn::MulAdd(v10, x, y), v11 = hn::MulAdd(v11, x, y);
  }
  const auto sum = hn::Add(hn::Add(hn::Add(v0, v1), hn::Add(v2, v3)),
                           hn::Add(hn::Add(hn::Add(v4, v5), hn::Add(v6, v7)),
                                   hn::Add(hn::Add(v8, v9), hn::Add(v10, v11))));
  const double operations =
      static_cast<double>(rounds) * 12 * 2 * static_cast<double>(hn::Lanes(d));
  return hn::GetLane(sum) > 0 ? operations : -1;
}

// The same of pairs of bf16, which have an instruction of their own with AVX-512 only.
double multiplyAddBf16([[maybe_unused]] int64_t rounds) {
#if HWY_TARGET == HWY_AVX3
  const F32 d;
  const Bf16Pairs::U16 d16;
  const auto x = hn::Set(d16, uint16_t{0x3f80}), y = hn::Set(d16, uint16_t{0x3c00});
  VF32 v[12];
  unrolled<12>([&](auto i) DCC_INLINE_LAMBDA { v[i] = hn::Iota(d, static_cast<float>(i)); });
  for (int64_t r = 0; r < rounds; ++r) {
    unrolled<12>([&](auto i) DCC_INLINE_LAMBDA { v[i] = Bf16Pairs::multiplyAdd(x, y, v[i]); });
  }
  VF32 sum = v[0];
  unrolled<11>([&](auto i) DCC_INLINE_LAMBDA { sum = hn::Add(sum, v[i + 1]); });
  return hn::GetLane(sum) > 0 ? static_cast<double>(rounds) * 12 * 4 * kLanes : -1;
#else
  return 0;
#endif
}

}  // namespace dcc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dcc::cpu {
namespace {

#if defined(__x86_64__)
// The same with tiles, four sums at a time as products have them.
double multiplyAddTiles(int64_t rounds) {
  AmxTiles tiles(16);
  tiles.zero<0>(), tiles.zero<1>(), tiles.zero<2>(), tiles.zero<3>();
  tiles.zero<4>(), tiles.zero<5>(), tiles.zero<6>(), tiles.zero<7>();
  for (int64_t r = 0; r < rounds; ++r) {
    tiles.multiplyAdd<0, 4, 6>(), tiles.multiplyAdd<1, 4, 7>();
    tiles.multiplyAdd<2, 5, 6>(), tiles.multiplyAdd<3, 5, 7>();
  }
  return static_cast<double>(rounds) * 4 * 16 * 16 * 32 * 2;
}
#endif

HWY_EXPORT(multiplyAdd);
HWY_EXPORT(multiplyAddBf16);

// Seconds of the fastest run.
template <class Call>
double fastest(int runs, Call call) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int i = 0; i < runs; ++i) {
    const auto start = Clock::now();
    call();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

// Operations per second of all threads, each calling `work`, which returns how many it has done.
template <class Work>
double rateOf(ThreadPool& pool, Work work) {
  std::vector<double> operations(pool.threads());
  const double seconds = fastest(500, [&] {
    pool.run(pool.threads(), [&](int64_t task, uint32_t) { operations[task] = work(50000); });
  });
  double all = 0;
  for (double n : operations) all += n;
  return all / seconds;
}

}  // namespace

double measureMultiplyAdd(ThreadPool& pool) {
  return rateOf(pool, HWY_DYNAMIC_DISPATCH(multiplyAdd));
}

double measureBf16(ThreadPool& pool) {
  switch (bf16Products()) {
    case Bf16Products::kAmx:
#if defined(__x86_64__)
      return rateOf(pool, multiplyAddTiles);
#endif
    case Bf16Products::kAvx512:
      return rateOf(pool, HWY_DYNAMIC_DISPATCH(multiplyAddBf16));
    case Bf16Products::kWidened:
      break;
  }
  return measureMultiplyAdd(pool);
}

}  // namespace dcc::cpu
#endif
