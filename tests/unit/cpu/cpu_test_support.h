// Matrices for kernel tests: any type, rows apart, with guards that show writes outside of them.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/backends/cpu/kernels.h"
#include "runtime/base/float_bits.h"

namespace dcc::cpu::testing {

inline constexpr DType kFloats[] = {DType::kF32, DType::kBF16, DType::kF16};

// Relative error of one rounding to the type.
inline double roundoff(DType type) {
  return type == DType::kF32 ? 0x1p-24 : type == DType::kBF16 ? 0x1p-8 : 0x1p-11;
}

// [rows, cols] with `gap` guard elements after each row, filled with values the type represents
// exactly: what is read back is what was put in.
class TestMatrix {
 public:
  TestMatrix(int64_t rows, int64_t cols, DType type = DType::kF32, int64_t gap = 0)
      : stride_(cols + gap), bytes_((rows * stride_ + 1) * byteSize(type)) {
    view_ = {bytes_.data(), type, rows, cols, stride_};
    std::memset(bytes_.data(), kGuard, bytes_.size());
  }

  TestMatrix(const TestMatrix& other) { *this = other; }
  TestMatrix& operator=(const TestMatrix& other) {
    stride_ = other.stride_;
    bytes_ = other.bytes_;
    view_ = other.view_;
    view_.data = bytes_.data();
    return *this;
  }

  // Uniform in [-range, range].
  TestMatrix& random(uint32_t seed, float range = 1) {
    std::mt19937 generator(seed);
    std::uniform_real_distribution<float> uniform(-range, range);
    for (int64_t r = 0; r < view_.rows; ++r) {
      for (int64_t c = 0; c < view_.cols; ++c) set(r, c, uniform(generator));
    }
    return *this;
  }
  void set(int64_t r, int64_t c, float value) { fromF32(&value, view_.dtype, view_.at(r, c), 1); }
  // Inline, for references call it for each product.
  double at(int64_t r, int64_t c) const {
    const std::byte* at = view_.at(r, c);
    if (view_.dtype == DType::kF32) return load<float>(at);
    const auto bits = load<uint16_t>(at);
    return view_.dtype == DType::kBF16 ? bf16ToF32(bits) : f16ToF32(bits);
  }

  const Matrix& view() const { return view_; }
  WeightView weight(int64_t row_origin = 0) const {
    EXPECT_EQ(stride_, view_.cols) << "weights have no gaps";
    return {bytes_.data(), view_.dtype, view_.rows, view_.cols, view_.cols, row_origin};
  }
  const float* f32() const { return view_.f32(0); }
  // All of it, guards too.
  std::vector<std::byte>& bytes() { return bytes_; }

  // True when nothing was written between and behind the rows.
  bool guardsIntact() const {
    for (int64_t r = 0; r < view_.rows; ++r) {
      const std::byte* gap = view_.at(r, view_.cols);
      const std::byte* end =
          r + 1 < view_.rows ? view_.at(r + 1, 0) : bytes_.data() + bytes_.size();
      for (; gap < end; ++gap) {
        if (*gap != std::byte{kGuard}) return false;
      }
    }
    return true;
  }
  bool operator==(const TestMatrix& other) const { return bytes_ == other.bytes_; }

 private:
  template <class T>
  static T load(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
  }

  static constexpr unsigned char kGuard = 0xa5;
  int64_t stride_;
  std::vector<std::byte> bytes_;
  Matrix view_;
};

// Every element is `expected(r, c)` up to absolute + relative error.
inline void expectNear(const TestMatrix& m, const std::function<double(int64_t, int64_t)>& expected,
                       double relative, double absolute) {
  EXPECT_TRUE(m.guardsIntact());
  for (int64_t r = 0; r < m.view().rows; ++r) {
    for (int64_t c = 0; c < m.view().cols; ++c) {
      const double want = expected(r, c);
      const double error = roundoff(m.view().dtype) * std::abs(want);
      ASSERT_NEAR(m.at(r, c), want, absolute + relative * std::abs(want) + error)
          << "row " << r << ", column " << c;
    }
  }
}

// Scratch of exactly the size asked for, so that the address sanitizer sees overruns.
class Scratch {
 public:
  explicit Scratch(size_t bytes)
      : data_(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)), std::free) {}
  std::byte* data() const { return data_.get(); }

 private:
  std::unique_ptr<std::byte, decltype(&std::free)> data_;
};

// Runs its tests once per instruction set of this machine and number of threads.
struct Setting {
  std::string instructions;
  uint32_t threads;
};
inline void PrintTo(const Setting& s, std::ostream* out) {
  *out << s.instructions << ", " << s.threads << " threads";
}
class PerSetting : public ::testing::TestWithParam<Setting> {
 protected:
  PerSetting() : pool(GetParam().threads) {
    EXPECT_TRUE(forceCpuInstructionSet(GetParam().instructions).ok());
  }
  ~PerSetting() override { EXPECT_TRUE(forceCpuInstructionSet("").ok()); }

  ThreadPool pool;
};

inline std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const std::string& name : cpuInstructionSets()) {
    for (uint32_t threads : {1, 3}) all.push_back({name, threads});
  }
  return all;
}
inline std::string settingName(const ::testing::TestParamInfo<Setting>& info) {
  return info.param.instructions + "_threads" + std::to_string(info.param.threads);
}

#define DCC_PER_SETTING(fixture)                                                   \
  INSTANTIATE_TEST_SUITE_P(Cpu, fixture, ::testing::ValuesIn(testing::settings()), \
                           testing::settingName)

}  // namespace dcc::cpu::testing
