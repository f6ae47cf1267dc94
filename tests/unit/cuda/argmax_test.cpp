#include <limits>

#include "cuda_test_support.h"

namespace dcc::cuda {
namespace {

using testing::DeviceBytes;
using testing::DeviceMatrix;
using testing::TestMatrix;

class Argmax : public testing::OnDevice {
 protected:
  // Twice with the same scratch, which is left as it was found.
  std::vector<Largest> largest(const TestMatrix& logits) {
    const int64_t rows = logits.view().rows;
    const size_t bytes = argmaxScratchBytes(rows, logits.view().cols);
    const DeviceBytes scratch(std::vector<char>(bytes, 0));
    const DeviceMatrix device(logits);
    std::vector<Largest> got;
    for (int round = 0; round < 2; ++round) {
      const DeviceBytes out(std::vector<Largest>(rows, Largest{-1, -1}));
      argmax(on, device.view(), out.as<Largest>(), scratch.as());
      EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
      EXPECT_EQ(cudaGetLastError(), cudaSuccess);
      got = out.download<Largest>();
      EXPECT_EQ(scratch.download<char>(), std::vector<char>(bytes, 0));
    }
    return got;
  }
};

TEST_F(Argmax, FirstOfTheLargest) {
  for (int64_t cols : {1, 31, 1000, 4096, 9001}) {
    for (DType type : testing::kFloats) {
      // 16-bit types have many equal numbers among so many.
      const auto logits = TestMatrix(3, cols, type, 5).random(static_cast<uint32_t>(cols), 30);
      const auto got = largest(logits);
      for (int64_t r = 0; r < 3; ++r) {
        int64_t best = 0;
        for (int64_t c = 1; c < cols; ++c) {
          if (logits.at(r, c) > logits.at(r, best)) best = c;
        }
        EXPECT_EQ(got[r].column, best);
        EXPECT_EQ(got[r].value, logits.at(r, best));
      }
    }
  }
}

TEST_F(Argmax, EqualsAndNegatives) {
  TestMatrix logits(4, 9000);
  for (int64_t c = 0; c < 9000; ++c) {
    logits.set(0, c, -5);
    logits.set(1, c, -std::numeric_limits<float>::infinity());
    logits.set(2, c, c % 4500 == 4321 ? -1e-30f : -1e30f);
    logits.set(3, c, c < 7000 ? -0.0f : 0.0f);
  }
  const auto got = largest(logits);
  EXPECT_EQ(got[0].column, 0);
  EXPECT_EQ(got[0].value, -5);
  EXPECT_EQ(got[1].column, 0);
  EXPECT_EQ(got[1].value, -std::numeric_limits<float>::infinity());
  EXPECT_EQ(got[2].column, 4321);
  EXPECT_EQ(got[2].value, -1e-30f);
  EXPECT_EQ(got[3].column, 0);
  EXPECT_EQ(got[3].value, 0);
}

TEST_F(Argmax, NotANumberIsTheLargest) {
  auto logits = TestMatrix(2, 9000).random(1);
  logits.set(0, 17, std::numeric_limits<float>::infinity());
  logits.set(0, 8000, std::numeric_limits<float>::quiet_NaN());
  logits.set(0, 8100, -std::numeric_limits<float>::quiet_NaN());
  logits.set(1, 8999, -std::numeric_limits<float>::quiet_NaN());
  const auto got = largest(logits);
  EXPECT_EQ(got[0].column, 8000);
  EXPECT_TRUE(std::isnan(got[0].value));
  EXPECT_EQ(got[1].column, 8999);
  EXPECT_TRUE(std::isnan(got[1].value));
}

}  // namespace
}  // namespace dcc::cuda
