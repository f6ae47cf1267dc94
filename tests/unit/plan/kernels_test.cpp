#include "runtime/plan/kernels.h"

#include <gtest/gtest.h>

namespace dcc::plan {
namespace {

TEST(Kernels, EveryKindHasItsSchemaName) {
  for (fb::KernelKind kind : fb::EnumValuesKernelKind()) {
    const KernelInfo* info = kernelInfo(kind);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->name, fb::EnumNameKernelKind(kind));
    EXPECT_EQ(kernelInfo(info->name), info);
  }
}

TEST(Kernels, UnknownNumbersAndNamesAreNull) {
  EXPECT_EQ(kernelInfo(static_cast<fb::KernelKind>(999)), nullptr);
  EXPECT_EQ(kernelInfo("conv2d"), nullptr);
}

// What may be left out comes last.
TEST(Kernels, OutputsFollowInputsAndAreInPlaceOnlyOfInputs) {
  for (fb::KernelKind kind : fb::EnumValuesKernelKind()) {
    bool output_seen = false;
    const KernelInfo& info = *kernelInfo(kind);
    for (const OperandInfo& operand : info.operands) {
      EXPECT_EQ(&operand - info.operands.data() >= static_cast<ptrdiff_t>(requiredOperands(info)),
                operand.optional)
          << info.name;
      if (operand.optional) continue;
      if (operand.role == Role::kOutput) output_seen = true;
      EXPECT_EQ(operand.role == Role::kOutput, output_seen) << info.name;
      for (uint32_t i = 0; i < 32; ++i) {
        if (operand.in_place_of >> i & 1) {
          ASSERT_LT(i, info.operands.size()) << info.name;
          EXPECT_EQ(info.operands[i].role, Role::kInput) << info.name;
        }
      }
    }
  }
}

TEST(Kernels, AttributesAreSortedAndNamed) {
  for (fb::KernelKind kind : fb::EnumValuesKernelKind()) {
    const KernelInfo& info = *kernelInfo(kind);
    for (size_t i = 1; i < info.attrs.size(); ++i) {
      EXPECT_LT(info.attrs[i - 1].key, info.attrs[i].key) << info.name;
    }
    for (const AttrInfo& attr : info.attrs) EXPECT_FALSE(attrName(attr.key).empty());
  }
}

}  // namespace
}  // namespace dcc::plan
