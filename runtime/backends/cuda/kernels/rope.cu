// Rotary positions, and keys and values on their way to the cache. A block takes heads of one
// token, all of q, of k or of v. Its threads read what they turn, compute the token's angles
// together, and then turn: 16 columns each, eight pairs where pairs turn.
#include <algorithm>

#include "runtime/backends/cuda/angles.cuh"
#include "runtime/backends/cuda/eights.cuh"
#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {
namespace {

constexpr int kPairs = kEight, kColumns = 2 * kEight;

// Heads of every token's row, and what becomes of them. All but `shape.half` pairs of columns pass.
struct Heads {
  Matrix x, out;  // without data: there is no output
  RopeShape shape;
  enum class Goal : uint8_t { kNone, kKeys, kValues } goal = Goal::kNone;  // part of the cache
  int count = 0;
  // Threads of a head: those that turn, those before what turns, and those behind it.
  int turning = 0, before = 0, behind = 0;
  int first_block = 0;  // along y

  __host__ __device__ int units() const { return turning + before + behind; }
};

struct Work {
  Heads q, k, v;
  CacheView cache;
  PagesView pages;
  StepView step;
};

// Two times up to eight columns of a head.
struct Columns {
  int a, b;    // the first of each eight
  int na, nb;  // how many there are from there on; more than eight count as eight
};

__device__ inline Columns columnsOf(const Heads& heads, int unit) {
  const int first = static_cast<int>(heads.shape.first);
  const int half = static_cast<int>(heads.shape.half);
  int a, end;
  if (unit < heads.turning) {
    const int pair = unit * kPairs, n = half - pair;
    if (!heads.shape.interleaved) return {first + pair, first + half + pair, n, n};
    a = first + 2 * pair;
    end = first + 2 * half;
  } else if (unit < heads.turning + heads.before) {
    a = (unit - heads.turning) * kColumns;
    end = first;
  } else {
    a = first + 2 * half + (unit - heads.turning - heads.before) * kColumns;
    end = static_cast<int>(heads.shape.head_dim);
  }
  return {a, a + kEight, end - a, end - a - kEight};
}

// With kDynamic frequencies are scaled for sequences longer than the original positions: each step
// is rounded as the reference does (runtime/backends/cpu/rotary.cpp).
template <bool kDynamic>
__device__ float frequency(const RopeShape& s, int64_t length, int i) {
  if (s.original_positions == 0 || length <= s.original_positions) return s.frequencies[i];
  if (!kDynamic || s.beyond != nullptr) return s.beyond[i];
  const double dim = 2.0 * static_cast<double>(s.half);
  const double stretch =
      s.factor * static_cast<double>(length) / static_cast<double>(s.original_positions) -
      (s.factor - 1);
  const double base = s.theta * pow(stretch, dim / (dim - 2));
  const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
  return 1.0f / static_cast<float>(pow(base, static_cast<double>(exponent)));
}

// Cosines, and `room` behind them sines, of the token's angles.
template <bool kDynamic>
__device__ void fillAngles(const RopeShape& s, int32_t position, int64_t length, float* angles,
                           int room) {
  const int threads = static_cast<int>(blockDim.x * blockDim.y);
  for (int i = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x); i < s.half; i += threads) {
    // The product is rounded before it is reduced, as models were trained.
    const float angle = __fmul_rn(static_cast<float>(position), frequency<kDynamic>(s, length, i));
    float sine, cosine;
    sineAndCosine(angle, sine, cosine);
    angles[i] = cosine * s.scale;
    angles[room + i] = sine * s.scale;
  }
}

__device__ inline void turn(float& x, float& y, float cosine, float sine) {
  const float turned = x * cosine - y * sine;
  y = y * cosine + x * sine;
  x = turned;
}

// Turns eight pairs; cosines and sines of the first one on.
__device__ inline void turnPairs(bool interleaved, const float* cosines, const float* sines,
                                 float (&a)[kEight], float (&b)[kEight]) {
  float c[kPairs], s[kPairs];
  DCC_UNROLL for (int i = 0; i < kPairs; ++i) {
    c[i] = cosines[i];
    s[i] = sines[i];
  }
  if (interleaved) {
    DCC_UNROLL for (int i = 0; i < kPairs / 2; ++i) {
      turn(a[2 * i], a[2 * i + 1], c[i], s[i]);
      turn(b[2 * i], b[2 * i + 1], c[kPairs / 2 + i], s[kPairs / 2 + i]);
    }
  } else {
    DCC_UNROLL for (int i = 0; i < kPairs; ++i) turn(a[i], b[i], c[i], s[i]);
  }
}

// Where the token's key or value of a head lies in the cache.
__device__ inline std::byte* slotOf(const Work& w, const CacheView& cache, Heads::Goal goal,
                                    int head, int32_t sequence, int32_t position) {
  const auto per_page = static_cast<uint32_t>(cache.tokens_per_page);
  const uint32_t index = static_cast<uint32_t>(position) / per_page;
  const int64_t slot = static_cast<uint32_t>(position) - index * per_page;
  const int64_t page = w.pages.pages[sequence * w.pages.stride + index];
  const bool keys = goal == Heads::Goal::kKeys;
  const int64_t element =
      (head * cache.tokens_per_page + slot) * (keys ? cache.k_dim : cache.v_dim);
  return cache.pool + page * cache.bytes_per_page + (keys ? cache.k_offset : cache.v_offset) +
         (element << (cache.dtype == DType::kF32 ? 2 : 1));
}

template <bool kDynamic, class Types>
__global__ void ropeKernel(const __grid_constant__ Work w) {
  auto* const angles = dynamicShared<float>();
  const int block = static_cast<int>(blockIdx.y);
  const Heads& heads = block < w.k.first_block ? w.q : block < w.v.first_block ? w.k : w.v;
  Matrix x = heads.x, out = heads.out;
  CacheView cache = w.cache;
  Types::fix(x, out, cache);
  const int64_t token = blockIdx.x;
  const int head = static_cast<int>((block - heads.first_block) * blockDim.y + threadIdx.y);
  const int unit = static_cast<int>(blockIdx.z * blockDim.x + threadIdx.x);
  const bool works = head < heads.count && unit < heads.units();
  const Columns at = columnsOf(heads, unit);
  const int64_t col = head * heads.shape.head_dim;
  waitForInputs();

  const int32_t position = w.step.positions[token];
  const int32_t sequence = w.step.sequences[token];
  Eight a, b;
  if (works) {
    a = readEight(x, token, col + at.a, at.na);
    b = readEight(x, token, col + at.b, at.nb);
  }
  std::byte* slot = nullptr;
  if (works && heads.goal != Heads::Goal::kNone && sequence >= 0) {
    slot = slotOf(w, cache, heads.goal, head, sequence, position);
  }
  const int room = heads.turning * kPairs;
  if (heads.turning > 0) {
    const bool lengths = heads.shape.original_positions != 0 && sequence >= 0;
    fillAngles<kDynamic>(heads.shape, position, lengths ? w.step.rope_lengths[sequence] : 0, angles,
                         room);
    __syncthreads();
  }
  if (!works) return;

  // Without an output the cache gets what the output would have held.
  const DType to = out.data == nullptr ? x.dtype : out.dtype;
  if (unit < heads.turning) {
    const float* cosines = angles + unit * kPairs;
    float v[kEight], u[kEight];
    toF32(a, x.dtype, v);
    toF32(b, x.dtype, u);
    turnPairs(heads.shape.interleaved, cosines, cosines + room, v, u);
    a = fromF32(v, to);
    b = fromF32(u, to);
  } else {
    a = converted(a, x.dtype, to);
    b = converted(b, x.dtype, to);
  }
  if (out.data != nullptr) {
    writeEight(out, token, col + at.a, at.na, a);
    writeEight(out, token, col + at.b, at.nb, b);
  }
  if (slot != nullptr) {
    const int shift = cache.dtype == DType::kF32 ? 2 : 1;
    writeEight(slot + (at.a << shift), cache.dtype, at.na, converted(a, to, cache.dtype));
    writeEight(slot + (at.b << shift), cache.dtype, at.nb, converted(b, to, cache.dtype));
  }
}

int parts(int64_t size, int64_t by) { return static_cast<int>((size + by - 1) / by); }

Heads headsOf(const Matrix& x, const RopeShape& shape, const Matrix& out,
              Heads::Goal goal = Heads::Goal::kNone) {
  Heads heads;
  heads.x = x;
  heads.out = out;
  heads.shape = shape;
  // Without a word on what is beyond them nothing is.
  if (shape.beyond == nullptr && shape.theta == 0) heads.shape.original_positions = 0;
  heads.goal = goal;
  heads.count = static_cast<int>(x.cols / shape.head_dim);
  heads.turning = parts(shape.half, kPairs);
  heads.before = parts(shape.first, kColumns);
  heads.behind = parts(shape.head_dim - shape.first - 2 * shape.half, kColumns);
  return heads;
}

// Heads that do not turn.
RopeShape passing(int64_t head_dim) {
  RopeShape shape;
  shape.head_dim = head_dim;
  return shape;
}

void run(const Launch& on, Work work) {
  // Few threads, so that a token's heads are many blocks: each computes the angles once more, but
  // they work side by side.
  constexpr int kThreads = 64;
  int units = 1, most = 0, turning = 0;
  for (const Heads* h : {&work.q, &work.k, &work.v}) {
    units = std::max(units, h->units());
    most = std::max(most, h->count);
    turning = std::max(turning, h->turning);
  }
  if (work.step.T == 0 || most == 0) return;
  const int x = std::min(units, kThreads), y = std::min(most, kThreads / x);
  work.k.first_block = parts(work.q.count, y);
  work.v.first_block = work.k.first_block + parts(work.k.count, y);
  const int blocks = work.v.first_block + parts(work.v.count, y);
  const dim3 grid(static_cast<unsigned>(work.step.T), static_cast<unsigned>(blocks),
                  static_cast<unsigned>(parts(units, x)));
  const dim3 block(static_cast<unsigned>(x), static_cast<unsigned>(y));
  const size_t shared = static_cast<size_t>(turning) * kPairs * 2 * sizeof(float);
  const auto dynamic = [](const RopeShape& s) {
    return s.original_positions > 0 && s.beyond == nullptr;
  };
  const bool any = dynamic(work.q.shape) || dynamic(work.k.shape);

  // One type where all that is there has it.
  Matrix cache, first = work.q.count > 0 ? work.q.x : work.k.x;
  cache.dtype = work.cache.dtype;
  const auto orFirst = [&](bool is, const Matrix& m) { return is ? m : first; };
  withTypes(
      [&](auto types) {
        using Types = decltype(types);
        launch(on, any ? ropeKernel<true, Types> : ropeKernel<false, Types>, grid, block, shared,
               work);
      },
      first, orFirst(work.q.out.data != nullptr, work.q.out), orFirst(work.k.count > 0, work.k.x),
      orFirst(work.k.out.data != nullptr, work.k.out), orFirst(work.v.count > 0, work.v.x),
      orFirst(work.cache.pool != nullptr, cache));
}

}  // namespace

void rope(const Launch& on, const Matrix& x, const StepView& step, const RopeShape& shape,
          const Matrix& out) {
  Work work;
  work.q = headsOf(x, shape, out);
  work.step = step;
  run(on, work);
}

void kvWrite(const Launch& on, const Matrix& k, const Matrix& v, const CacheView& cache,
             const StepView& step, const PagesView& pages) {
  Work work;
  work.k = headsOf(k, passing(cache.k_dim), {}, Heads::Goal::kKeys);
  work.v = headsOf(v, passing(cache.v_dim), {}, Heads::Goal::kValues);
  work.cache = cache;
  work.pages = pages;
  work.step = step;
  run(on, work);
}

void ropeAndWrite(const Launch& on, const Matrix& q, const RopeShape& q_shape, const Matrix& q_out,
                  const Matrix& k, const RopeShape& k_shape, const Matrix* k_out, const Matrix& v,
                  const CacheView& cache, const StepView& step, const PagesView& pages) {
  Work work;
  work.q = headsOf(q, q_shape, q_out);
  work.k = headsOf(k, k_shape, k_out == nullptr ? Matrix{} : *k_out, Heads::Goal::kKeys);
  work.v = headsOf(v, passing(cache.v_dim), {}, Heads::Goal::kValues);
  work.cache = cache;
  work.pages = pages;
  work.step = step;
  run(on, work);
}

}  // namespace dcc::cuda
