// Element types. The numbers are those of plan.fbs and never change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace dcc {

enum class DType : uint8_t { kF32 = 0, kBF16 = 1, kF16 = 2, kI32 = 3, kI64 = 4, kU8 = 5 };

constexpr size_t byteSize(DType type) {
  switch (type) {
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
    case DType::kF16:
      return 2;
    case DType::kI64:
      return 8;
    case DType::kU8:
      return 1;
  }
  return 0;
}

constexpr std::string_view name(DType type) {
  switch (type) {
    case DType::kF32:
      return "f32";
    case DType::kBF16:
      return "bf16";
    case DType::kF16:
      return "f16";
    case DType::kI32:
      return "i32";
    case DType::kI64:
      return "i64";
    case DType::kU8:
      return "u8";
  }
  return "?";
}

// From our own name ("bf16") or safetensors' ("BF16", "F32", "I64") or torch's ("bfloat16").
constexpr std::optional<DType> parseDType(std::string_view s) {
  if (s == "f32" || s == "F32" || s == "float32") return DType::kF32;
  if (s == "bf16" || s == "BF16" || s == "bfloat16") return DType::kBF16;
  if (s == "f16" || s == "F16" || s == "float16") return DType::kF16;
  if (s == "i32" || s == "I32" || s == "int32") return DType::kI32;
  if (s == "i64" || s == "I64" || s == "int64") return DType::kI64;
  if (s == "u8" || s == "U8" || s == "uint8") return DType::kU8;
  return std::nullopt;
}

}  // namespace dcc
