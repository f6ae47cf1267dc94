// Experts against the CPU's.
#include <cmath>
#include <vector>

#include "cuda_test_support.h"
#include "runtime/plan/workspace.h"

namespace dcc::cuda {
namespace {

using testing::DeviceBytes;
using testing::DeviceMatrix;
using testing::TestMatrix;

struct Sizes {
  int64_t rows, d, width, out, experts, chosen;
};

// A layer's weights, scaled so that what comes out is about 1, on both sides.
struct Layer {
  TestMatrix gate, up, down, gate_bias, up_bias;
  DeviceMatrix device_gate, device_up, device_down, device_gate_bias, device_up_bias;

  Layer(const Sizes& s, DType type)
      : gate(matrix(s.experts * s.width, s.d, type, 1)),
        up(matrix(s.experts * s.width, s.d, type, 2)),
        down(matrix(s.experts * s.out, s.width, type, 3)),
        gate_bias(TestMatrix(s.experts, s.width).random(4)),
        up_bias(TestMatrix(s.experts, s.width).random(5)),
        device_gate(gate),
        device_up(up),
        device_down(down),
        device_gate_bias(gate_bias),
        device_up_bias(up_bias) {}

  static TestMatrix matrix(int64_t rows, int64_t cols, DType type, uint32_t seed) {
    return TestMatrix(rows, cols, type).random(seed, 2 / std::sqrt(static_cast<float>(cols)));
  }
};

// Of row r the experts r, r + 1, ... have gates; of every fifth row none.
TestMatrix someGates(const Sizes& s) {
  TestMatrix gates(s.rows, s.experts, DType::kF32, 1);
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t e = 0; e < s.experts; ++e) {
      const bool chosen = (e + s.experts - r % s.experts) % s.experts < s.chosen && r % 5 != 3;
      gates.set(r, e, chosen ? 0.25f + 0.1f * static_cast<float>(e % 7) : 0.0f);
    }
  }
  return gates;
}

class ExpertKernels : public testing::OnDevice {
 protected:
  // `variant`: 0 plain, 1 scaled inputs, 2 biases, 3 with a limit too; from 4 on `chosen` is not
  // told.
  void check(const Sizes& s, DType type, DType weight_type, int variant, const TestMatrix& gates) {
    SCOPED_TRACE(::testing::Message() << s.rows << " rows of " << name(type) << ", weights "
                                      << name(weight_type) << ", variant " << variant);
    const Layer layer(s, weight_type);
    cpu::Experts host;
    Experts device;
    host.gate = layer.gate.weight();
    host.up = layer.up.weight();
    host.down = layer.down.weight();
    device.gate = layer.device_gate.weight();
    device.up = layer.device_up.weight();
    device.down = layer.device_down.weight();
    device.chosen = variant >= 4 ? 0 : s.chosen;
    variant %= 4;
    host.scaled_inputs = device.scaled_inputs = variant == 1;
    if (variant >= 2) {
      host.gate_bias = layer.gate_bias.f32();
      host.up_bias = layer.up_bias.f32();
      device.gate_bias = layer.device_gate_bias.f32();
      device.up_bias = layer.device_up_bias.f32();
    }
    host.limit = device.limit = variant == 3 ? 0.9f : 0;
    host.alpha = device.alpha = variant == 3 ? 1.702f : 0;

    const auto x = TestMatrix(s.rows, s.d, type, 8).random(7);
    TestMatrix expected(s.rows, s.out, DType::kF32, 3);
    const plan::ExpertsWorkspace workspace(s.rows, s.d, s.width, s.out, 1, type, 1);
    const cpu::testing::Scratch scratch(workspace.bytes());
    cpu::experts(pool, x.view(), gates.view(), host, expected.view(), scratch.data(), s.rows);

    const DeviceMatrix dx(x), dg(gates), out(TestMatrix(s.rows, s.out, DType::kF32, 3));
    const std::vector<std::byte> room(
        expertsScratchBytes(s.rows, s.width, s.out, s.experts, device.chosen), std::byte{0xa5});
    const DeviceBytes device_scratch(room);
    experts(on, dx.view(), dg.view(), device, out.view(), device_scratch.as());
    // What is rounded on its way, gate * up, can fall to either side.
    const bool rounded = type == DType::kBF16 && weight_type == DType::kBF16;
    testing::expectClose(out, expected, 4, rounded ? 0x1p-8 / 0x1p-24 : 32);
  }
};

// Few rows and many, sizes in whole vectors and not, experts with short lists and with long ones.
constexpr Sizes kSizes[] = {{1, 40, 24, 40, 5, 2},  {2, 24, 17, 9, 40, 7},  {3, 48, 264, 20, 6, 2},
                            {7, 72, 136, 50, 9, 3}, {12, 40, 70, 40, 9, 3}, {11, 72, 88, 136, 5, 2},
                            {77, 40, 72, 20, 6, 3}};

TEST_F(ExpertKernels, EveryTypeAndVariant) {
  int variant = 0;
  for (const Sizes& s : kSizes) {
    for (DType type : testing::kFloats) {
      for (DType weight : testing::kFloats) check(s, type, weight, variant++ % 5, someGates(s));
    }
  }
}

// Lists of experts behind the first 32, of which a warp looks at one each.
TEST_F(ExpertKernels, MoreExpertsThanLanes) {
  const Sizes s{21, 24, 16, 24, 70, 4};
  check(s, DType::kF32, DType::kBF16, 0, someGates(s));
  check(s, DType::kBF16, DType::kBF16, 4, someGates(s));
}

// One expert has more rows than a tile, and others none.
TEST_F(ExpertKernels, EmptyAndFullExperts) {
  const Sizes s{70, 16, 16, 24, 6, 2};
  TestMatrix gates(s.rows, s.experts);
  for (int64_t r = 0; r < s.rows; ++r) {
    for (int64_t e = 0; e < s.experts; ++e) gates.set(r, e, e == 4 || e == r ? 0.5f : 0.0f);
  }
  check(s, DType::kF32, DType::kF32, 0, gates);
  check(s, DType::kBF16, DType::kBF16, 1, gates);
}

TEST_F(ExpertKernels, NobodyIsAsked) {
  for (int64_t rows : {1, 12}) {
    const Sizes s{rows, 16, 16, 24, 6, 2};
    TestMatrix gates(s.rows, s.experts);
    for (int64_t r = 0; r < s.rows; ++r) {
      for (int64_t e = 0; e < s.experts; ++e) gates.set(r, e, 0);
    }
    check(s, DType::kBF16, DType::kBF16, 0, gates);
  }
}

}  // namespace
}  // namespace dcc::cuda
