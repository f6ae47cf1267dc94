// Eight neighbouring elements of a row: what a thread reads or writes at once in kernels that do
// little else; 16 bytes of bf16 or f16, twice as many of f32. They are read as they lie in memory,
// so that a thread has all its reads under way before it waits for the first, and seen as f32
// afterwards. Addresses may be anything: those that no 16 bytes start at cost more.
#pragma once

#include "runtime/backends/cuda/elements.cuh"

namespace dcc::cuda {

inline constexpr int kEight = 8;

struct Eight {
  uint32_t words[kEight] = {};  // of 16-bit elements the first four, lowest first
};

__device__ inline bool inOnePiece(const std::byte* at, int64_t n) {
  return n >= kEight && reinterpret_cast<uintptr_t>(at) % sizeof(Bytes16) == 0;
}

// The first n (or all, if there are more than eight) of the elements at `at`, zeros behind them.
__device__ inline Eight readEight(const std::byte* at, DType type, int64_t n) {
  Eight e;
  if (inOnePiece(at, n)) {
    const auto* from = reinterpret_cast<const Bytes16*>(at);
    const Bytes16 low = from[0];
    DCC_UNROLL for (int i = 0; i < 4; ++i) e.words[i] = low.words[i];
    if (type != DType::kF32) return e;
    const Bytes16 high = from[1];
    DCC_UNROLL for (int i = 0; i < 4; ++i) e.words[4 + i] = high.words[i];
  } else if (type == DType::kF32) {
    const auto* from = reinterpret_cast<const uint32_t*>(at);
    DCC_UNROLL for (int i = 0; i < kEight; ++i) e.words[i] = i < n ? from[i] : 0;
  } else {
    const auto* from = reinterpret_cast<const uint16_t*>(at);
    DCC_UNROLL for (int i = 0; i < kEight; ++i) {
      if (i < n) e.words[i / 2] |= uint32_t{from[i]} << 16 * (i % 2);
    }
  }
  return e;
}

// The other direction: elements behind the first n are left as they are.
__device__ inline void writeEight(std::byte* at, DType type, int64_t n, const Eight& e) {
  if (inOnePiece(at, n)) {
    auto* to = reinterpret_cast<Bytes16*>(at);
    to[0] = {e.words[0], e.words[1], e.words[2], e.words[3]};
    if (type == DType::kF32) to[1] = {e.words[4], e.words[5], e.words[6], e.words[7]};
  } else if (type == DType::kF32) {
    auto* to = reinterpret_cast<uint32_t*>(at);
    DCC_UNROLL for (int i = 0; i < kEight; ++i) {
      if (i < n) to[i] = e.words[i];
    }
  } else {
    auto* to = reinterpret_cast<uint16_t*>(at);
    DCC_UNROLL for (int i = 0; i < kEight; ++i) {
      if (i < n) to[i] = static_cast<uint16_t>(e.words[i / 2] >> 16 * (i % 2));
    }
  }
}

__device__ inline void toF32(const Eight& e, DType type, float (&x)[kEight]) {
  if (type == DType::kBF16) {
    DCC_UNROLL for (int i = 0; i < kEight; i += 2) {
      x[i] = __uint_as_float(e.words[i / 2] << 16);
      x[i + 1] = __uint_as_float(e.words[i / 2] & 0xffff0000u);
    }
  } else if (type == DType::kF16) {
    DCC_UNROLL for (int i = 0; i < kEight; i += 2) {
      x[i] = toF32(Float16{static_cast<uint16_t>(e.words[i / 2])});
      x[i + 1] = toF32(Float16{static_cast<uint16_t>(e.words[i / 2] >> 16)});
    }
  } else {
    DCC_UNROLL for (int i = 0; i < kEight; ++i) x[i] = __uint_as_float(e.words[i]);
  }
}

// Rounds to nearest, ties to even.
__device__ inline Eight fromF32(const float (&x)[kEight], DType type) {
  Eight e;
  if (type == DType::kBF16) {
    DCC_UNROLL for (int i = 0; i < kEight; i += 2) {
      e.words[i / 2] = fromF32<BFloat16>(x[i]).bits | uint32_t{fromF32<BFloat16>(x[i + 1]).bits}
                                                          << 16;
    }
  } else if (type == DType::kF16) {
    DCC_UNROLL for (int i = 0; i < kEight; i += 2) {
      e.words[i / 2] = fromF32<Float16>(x[i]).bits | uint32_t{fromF32<Float16>(x[i + 1]).bits}
                                                         << 16;
    }
  } else {
    DCC_UNROLL for (int i = 0; i < kEight; ++i) e.words[i] = __float_as_uint(x[i]);
  }
  return e;
}

// Matrix::at() of f32, bf16 and f16, without branches.
__device__ inline std::byte* addressOf(const Matrix& m, int64_t row, int64_t col) {
  return m.data + ((row * m.stride + col) << (m.dtype == DType::kF32 ? 2 : 1));
}
__device__ inline Eight readEight(const Matrix& m, int64_t row, int64_t col, int64_t n) {
  return readEight(addressOf(m, row, col), m.dtype, n);
}
__device__ inline void writeEight(const Matrix& m, int64_t row, int64_t col, int64_t n,
                                  const Eight& e) {
  writeEight(addressOf(m, row, col), m.dtype, n, e);
}

// Types of a kernel's matrices, as its template's argument: any, or one that all of them have,
// which spares the branches where microseconds count.
struct AnyTypes {
  template <class... Matrices>
  __device__ static void fix(Matrices&...) {}
};
template <DType kType>
struct Only {
  template <class... Matrices>
  __device__ static void fix(Matrices&... m) {
    ((m.dtype = kType), ...);
  }
};
// Calls body(Only<type>()) where these matrices are all bf16 or all f16, else body(AnyTypes()).
template <class Body, class... Matrices>
void withTypes(Body&& body, const Matrix& first, const Matrices&... others) {
  const bool same = ((others.dtype == first.dtype) && ...);
  if (same && first.dtype == DType::kBF16) return body(Only<DType::kBF16>());
  if (same && first.dtype == DType::kF16) return body(Only<DType::kF16>());
  body(AnyTypes());
}

// Elements of `from` as elements of `to`.
__device__ inline Eight converted(const Eight& e, DType from, DType to) {
  if (from == to) return e;
  float x[kEight];
  toF32(e, from, x);
  return fromF32(x, to);
}

// The place in a matrix of a thread that launchOverEights() has started.
struct Place {
  int64_t row, col;
  int64_t n;  // elements from there to the end of the row; none where there is no such place
};
__device__ inline Place placeIn(const Matrix& m) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const int64_t col = (static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * kEight;
  return {row, col, row < m.rows ? m.cols - col : 0};
}

// A thread for every eight elements of each row of `m`: along the row, and where rows are short
// several of them to a block.
template <class... Params, class... Args>
void launchOverEights(const Launch& on, const Matrix& m, void (*kernel)(Params...), Args... args) {
  constexpr unsigned kThreads = 128;
  if (m.rows == 0 || m.cols == 0) return;
  const auto rows = static_cast<unsigned>(m.rows);
  const auto eights = static_cast<unsigned>((m.cols + kEight - 1) / kEight);
  const unsigned x = eights < kThreads ? eights : kThreads;
  const unsigned y = kThreads / x < rows ? kThreads / x : rows;
  launch(on, kernel, dim3((rows + y - 1) / y, (eights + x - 1) / x), dim3(x, y), 0, args...);
}

}  // namespace dcc::cuda
