// Rotary positions, and keys and values on their way to the cache. A block takes heads of one
// token: q's, k's and v's alike. Its threads read what they turn, compute the token's angles
// together, and then turn: 16 columns each, eight pairs where pairs turn.
#include <algorithm>

#include "runtime/backends/cuda/eights.cuh"
#include "runtime/backends/cuda/kernels.h"

namespace dcc::cuda {
namespace {

constexpr int kPairs = kEight;

enum class Goal : uint8_t { kNone, kKeys, kValues };  // the part of the cache

// Heads of every token's row, and what becomes of them. All but `shape.half` pairs of columns pass.
struct Heads {
  Matrix x;
  Matrix out;  // no data: none
  RopeShape shape;
  int count = 0;
  Goal goal = Goal::kNone;
};

struct Work {
  Heads q = {}, k = {}, v = {};
  CacheView cache = {};
  PagesView pages = {};
  StepView step = {};
  bool alike = false;  // q and k turn by the same angles
};

__host__ __device__ inline int parts(int64_t size, int by) {
  return static_cast<int>((size + by - 1) / by);
}

// Threads of a head: those that turn eight pairs, and those that pass on 16 columns before and
// behind what turns.
__host__ __device__ inline int units(const RopeShape& s) {
  return parts(s.half, kPairs) + parts(s.first, 2 * kEight) +
         parts(s.head_dim - s.first - 2 * s.half, 2 * kEight);
}

// Two times up to eight columns of a head.
struct Columns {
  int a = 0, b = 0;    // the first of each eight
  int na = 0, nb = 0;  // how many there are from there on; more than eight count as eight
  int pair = -1;       // the first pair, where pairs turn
};

__device__ inline Columns columnsOf(const RopeShape& s, int unit) {
  const int first = static_cast<int>(s.first), half = static_cast<int>(s.half);
  const int turning = parts(half, kPairs);
  if (unit < turning) {
    const int pair = unit * kPairs, n = half - pair;
    if (s.interleaved) {
      const int a = first + 2 * pair;
      return {a, a + kEight, 2 * n, 2 * n - kEight, pair};
    }
    return {first + pair, first + half + pair, n, n, pair};
  }
  unit -= turning;
  const int before = parts(first, 2 * kEight);
  const int a = unit < before ? unit * 2 * kEight : first + 2 * half + (unit - before) * 2 * kEight;
  const int end = unit < before ? first : static_cast<int>(s.head_dim);
  return {a, a + kEight, end - a, end - a - kEight, -1};
}

// With kDynamic frequencies are scaled for sequences longer than the original positions: each step
// is rounded as the reference does (runtime/backends/cpu/rotary.cpp).
template <bool kDynamic>
__device__ float frequency(const RopeShape& s, int64_t length, int i) {
  if (s.original_positions == 0 || length <= s.original_positions) return s.frequencies[i];
  if (s.beyond != nullptr) return s.beyond[i];
  if constexpr (kDynamic) {
    const double dim = 2.0 * static_cast<double>(s.half);
    const double stretch =
        s.factor * static_cast<double>(length) / static_cast<double>(s.original_positions) -
        (s.factor - 1);
    const double base = s.theta * pow(stretch, dim / (dim - 2));
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    return 1.0f / static_cast<float>(pow(base, static_cast<double>(exponent)));
  }
  return s.frequencies[i];
}

// Cosines, and behind `room` of them sines, of the token's angles.
template <bool kDynamic>
__device__ void fillAngles(const RopeShape& s, int32_t position, int64_t length, float* angles,
                           int room) {
  const int threads = static_cast<int>(blockDim.x * blockDim.y);
  const int thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  for (int i = thread; i < s.half; i += threads) {
    // The product is rounded before it is reduced.
    const float angle = __fmul_rn(static_cast<float>(position), frequency<kDynamic>(s, length, i));
    float sine, cosine;
    sincosf(angle, &sine, &cosine);
    angles[i] = cosine * s.scale;
    angles[room + i] = sine * s.scale;
  }
}

__device__ inline void turn(float& x, float& y, float cosine, float sine) {
  const float turned = x * cosine - y * sine;
  y = y * cosine + x * sine;
  x = turned;
}

// Turns eight pairs; `cosines` and `sines` of the first one on.
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

// What a thread does: where it reads and writes 2 x 8 elements.
struct Item {
  const std::byte* from = nullptr;  // the head; null: nothing to do
  std::byte* out = nullptr;         // or null
  std::byte* cached = nullptr;      // or null
  DType type = DType::kF32, out_type = DType::kF32;
  Columns columns;
  bool interleaved = false;
  const float* angles = nullptr;
};

__device__ inline Item itemOf(const Heads& heads, int head, int unit, int64_t token,
                              const float* angles) {
  Item item;
  if (head < 0 || head >= heads.count || unit >= units(heads.shape)) return item;
  const int64_t col = head * heads.shape.head_dim;
  item.from = addressOf(heads.x, token, col);
  item.type = heads.x.dtype;
  item.out = heads.out.data == nullptr ? nullptr : addressOf(heads.out, token, col);
  // Without an output the cache gets what the output would have held.
  item.out_type = heads.out.data == nullptr ? heads.x.dtype : heads.out.dtype;
  item.columns = columnsOf(heads.shape, unit);
  item.interleaved = heads.shape.interleaved;
  item.angles = angles;
  return item;
}

template <bool kDynamic>
__global__ void ropeKernel(Work w) {
  auto* const angles = dynamicShared<float>();  // q's, then k's: cosines and sines of each
  const int q_room = parts(w.q.shape.half, kPairs) * kPairs;
  const int k_room = parts(w.k.shape.half, kPairs) * kPairs;
  float* const k_angles = w.alike ? angles : angles + 2 * q_room;
  waitForInputs();

  const int64_t token = blockIdx.x;
  const int head = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
  const int unit = static_cast<int>(blockIdx.z * blockDim.x + threadIdx.x);
  const int k_head = head - w.q.count, v_head = k_head - w.k.count;
  Item item = k_head < 0   ? itemOf(w.q, head, unit, token, angles)
              : v_head < 0 ? itemOf(w.k, k_head, unit, token, k_angles)
                           : itemOf(w.v, v_head, unit, token, nullptr);
  const Columns at = item.columns;
  const int64_t size = byteSize(item.type);
  Eight a, b;
  if (item.from != nullptr) {
    a = readEight(item.from + at.a * size, item.type, at.na);
    b = readEight(item.from + at.b * size, item.type, at.nb);
  }

  const int32_t position = w.step.positions[token];
  const int32_t sequence = w.step.sequences[token];
  if (item.from != nullptr && k_head >= 0 && w.cache.pool != nullptr && sequence >= 0) {
    const auto per_page = static_cast<uint32_t>(w.cache.tokens_per_page);
    const uint32_t index = static_cast<uint32_t>(position) / per_page;
    const uint32_t slot = static_cast<uint32_t>(position) % per_page;
    const int32_t page = w.pages.pages[sequence * w.pages.stride + index];
    item.cached = v_head < 0 ? w.cache.k(page, k_head, slot) : w.cache.v(page, v_head, slot);
  }
  const auto length = [&](const RopeShape& s) {
    return s.original_positions == 0 || sequence < 0 ? 0 : w.step.rope_lengths[sequence];
  };
  fillAngles<kDynamic>(w.q.shape, position, length(w.q.shape), angles, q_room);
  if (!w.alike) {
    fillAngles<kDynamic>(w.k.shape, position, length(w.k.shape), k_angles, k_room);
  }
  __syncthreads();
  if (item.from == nullptr) return;

  if (at.pair >= 0) {
    const float* cosines = item.angles + at.pair;
    float x[kEight], y[kEight];
    toF32(a, item.type, x);
    toF32(b, item.type, y);
    turnPairs(item.interleaved, cosines, cosines + (k_head < 0 ? q_room : k_room), x, y);
    a = fromF32(x, item.out_type);
    b = fromF32(y, item.out_type);
  } else {
    a = converted(a, item.type, item.out_type);
    b = converted(b, item.type, item.out_type);
  }
  const auto write = [&](std::byte* to, DType type) {
    const int64_t bytes = byteSize(type);
    writeEight(to + at.a * bytes, type, at.na, converted(a, item.out_type, type));
    writeEight(to + at.b * bytes, type, at.nb, converted(b, item.out_type, type));
  };
  if (item.out != nullptr) write(item.out, item.out_type);
  if (item.cached != nullptr) write(item.cached, w.cache.dtype);
}

void run(const Launch& on, const Work& work) {
  constexpr int kThreads = 256;
  const int heads = work.q.count + work.k.count + work.v.count;
  if (work.step.T == 0 || heads == 0) return;
  int most = 1;
  for (const Heads* h : {&work.q, &work.k, &work.v}) {
    if (h->count > 0) most = std::max(most, units(h->shape));
  }
  const int x = std::min(most, kThreads), y = std::min(heads, kThreads / x);
  const dim3 grid(static_cast<unsigned>(work.step.T), static_cast<unsigned>(parts(heads, y)),
                  static_cast<unsigned>(parts(most, x)));
  const dim3 block(static_cast<unsigned>(x), static_cast<unsigned>(y));
  const size_t angles = parts(work.q.shape.half, kPairs) + parts(work.k.shape.half, kPairs);
  const size_t shared = angles * kPairs * 2 * sizeof(float);
  const auto dynamic = [](const RopeShape& s) {
    return s.original_positions > 0 && s.beyond == nullptr && s.theta != 0;
  };
  const bool any = dynamic(work.q.shape) || dynamic(work.k.shape);
  launch(on, any ? ropeKernel<true> : ropeKernel<false>, grid, block, shared, work);
}

Heads headsOf(const Matrix& x, const RopeShape& shape, const Matrix& out) {
  return {x, out, shape, static_cast<int>(x.cols / shape.head_dim)};
}

bool sameAngles(const RopeShape& a, const RopeShape& b) {
  return a.frequencies == b.frequencies && a.beyond == b.beyond && a.half == b.half &&
         a.scale == b.scale && a.original_positions == b.original_positions && a.theta == b.theta &&
         a.factor == b.factor;
}

// Heads that do not turn.
RopeShape passing(int64_t head_dim) {
  RopeShape shape;
  shape.head_dim = head_dim;
  return shape;
}

}  // namespace

void rope(const Launch& on, const Matrix& x, const StepView& step, const RopeShape& shape,
          const Matrix& out) {
  run(on, {.q = headsOf(x, shape, out), .step = step});
}

void kvWrite(const Launch& on, const Matrix& k, const Matrix& v, const CacheView& cache,
             const StepView& step, const PagesView& pages) {
  run(on, {.k = headsOf(k, passing(cache.k_dim), {}),
           .v = headsOf(v, passing(cache.v_dim), {}),
           .cache = cache,
           .pages = pages,
           .step = step});
}

void ropeAndWrite(const Launch& on, const Matrix& q, const RopeShape& q_shape, const Matrix& q_out,
                  const Matrix& k, const RopeShape& k_shape, const Matrix* k_out, const Matrix& v,
                  const CacheView& cache, const StepView& step, const PagesView& pages) {
  run(on, {.q = headsOf(q, q_shape, q_out),
           .k = headsOf(k, k_shape, k_out == nullptr ? Matrix{} : *k_out),
           .v = headsOf(v, passing(cache.v_dim), {}),
           .cache = cache,
           .pages = pages,
           .step = step,
           .alike = sameAngles(q_shape, k_shape)});
}

}  // namespace dcc::cuda
