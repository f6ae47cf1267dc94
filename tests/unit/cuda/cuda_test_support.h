// Matrices in device memory, and the CPU's kernels to compare with, which have tests of their own
// against double precision (tests/unit/cpu).
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <utility>
#include <vector>

#include "runtime/backends/cpu/thread_pool.h"
#include "runtime/backends/cuda/cuda.h"
#include "runtime/backends/cuda/kernels.h"
#include "tests/unit/cpu/cpu_test_support.h"

namespace dcc::cuda::testing {

using cpu::testing::kFloats;
using cpu::testing::roundoff;
using cpu::testing::TestMatrix;

inline bool haveDevice() {
  static const bool have = [] {
    int devices = 0;
    const bool found = cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
    cudaGetLastError();
    return found;
  }();
  return have;
}

// Device memory with a copy of `host`; nothing without a device, where a test's members are made
// before it is skipped.
class DeviceBytes {
 public:
  DeviceBytes(const void* host, size_t bytes) : bytes_(bytes) {
    if (!haveDevice()) return;
    EXPECT_EQ(cudaMalloc(&data_, bytes), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, host, bytes, cudaMemcpyHostToDevice), cudaSuccess);
  }
  template <class T>
  explicit DeviceBytes(const std::vector<T>& host)
      : DeviceBytes(host.data(), host.size() * sizeof(T)) {}
  ~DeviceBytes() { cudaFree(data_); }
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;

  template <class T = std::byte>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  std::vector<T> download() const {
    std::vector<T> host(bytes_ / sizeof(T));
    EXPECT_EQ(cudaMemcpy(host.data(), data_, host.size() * sizeof(T), cudaMemcpyDeviceToHost),
              cudaSuccess);
    return host;
  }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_;
};

// A TestMatrix in device memory, its guards too.
class DeviceMatrix {
 public:
  explicit DeviceMatrix(const TestMatrix& host)
      : host_(host), device_(host_.bytes().data(), host_.bytes().size()) {}

  Matrix view() const {
    Matrix m = host_.view();
    m.data = device_.as();
    return m;
  }
  WeightView weight(int64_t row_origin = 0) const {
    WeightView w = host_.weight(row_origin);
    w.data = device_.as();
    return w;
  }
  const float* f32() const { return device_.as<float>(); }
  // What is there now.
  TestMatrix download() const {
    TestMatrix copy = host_;
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_EQ(
        cudaMemcpy(copy.bytes().data(), device_.as(), copy.bytes().size(), cudaMemcpyDeviceToHost),
        cudaSuccess);
    return copy;
  }

 private:
  TestMatrix host_;
  DeviceBytes device_;
};

// `device` is `expected` but for `roundings` roundings of its type, of numbers up to `largest`, and
// nothing was written between its rows.
inline void expectClose(const DeviceMatrix& device, const TestMatrix& expected, double largest = 1,
                        double roundings = 4) {
  const TestMatrix got = device.download();
  EXPECT_TRUE(got.guardsIntact());
  const double unit = roundoff(expected.view().dtype) * roundings;
  for (int64_t r = 0; r < expected.view().rows; ++r) {
    for (int64_t c = 0; c < expected.view().cols; ++c) {
      ASSERT_NEAR(got.at(r, c), expected.at(r, c), unit * largest)
          << "row " << r << ", column " << c;
    }
  }
}

// Skipped where there is no device, aloud.
class OnDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!haveDevice()) GTEST_SKIP() << "no GPU here";
  }

  cpu::ThreadPool pool{1};
  Launch on;
};

}  // namespace dcc::cuda::testing
