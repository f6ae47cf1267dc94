#include <bit>
#include <cstring>

#include "example_plan.h"
#include "runtime/base/file.h"

namespace dcc::plan::testing {
namespace {

// Values in [-0.5, 0.5) with few mantissa bits, exact in all three formats.
float nextValue(uint32_t& state) {
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(static_cast<int>(state >> 24) - 128) / 256.0f;
}

// Exact for values of nextValue(): normal numbers of 8 significant bits.
uint16_t toF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value == 0) return static_cast<uint16_t>(bits >> 16);
  uint32_t exponent = (bits >> 23 & 255) - 127 + 15;
  return static_cast<uint16_t>(bits >> 16 & 0x8000) |
         static_cast<uint16_t>(exponent << 10 | (bits >> 13 & 1023));
}

void append(std::string& data, DType dtype, float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint16_t half = dtype == DType::kF16 ? toF16(value) : static_cast<uint16_t>(bits >> 16);
  if (dtype == DType::kF32) {
    data.append(reinterpret_cast<const char*>(&bits), 4);
  } else {
    data.append(reinterpret_cast<const char*>(&half), 2);
  }
}

struct Tensor {
  std::string name;
  DType dtype;
  uint32_t rows, cols;  // rows 0: a vector
};

}  // namespace

std::string exampleCheckpoint() {
  const uint32_t q = kHeads * kHeadDim, kv = kKvHeads * kHeadDim;
  const std::string layer = "model.layers.0.";
  const Tensor tensors[] = {
      {"model.embed_tokens.weight", DType::kBF16, kVocab, kHidden},
      {layer + "self_attn.q_proj.weight", DType::kF32, q, kHidden},
      {layer + "self_attn.k_proj.weight", DType::kF16, kv, kHidden},
      {layer + "self_attn.v_proj.weight", DType::kBF16, kv, kHidden},
      {layer + "self_attn.o_proj.weight", DType::kBF16, kHidden, q},
      {layer + "mlp.gate_proj.weight", DType::kF32, kFfn, kHidden},
      {layer + "mlp.up_proj.weight", DType::kF16, kFfn, kHidden},
      {layer + "mlp.down_proj.weight", DType::kF32, kHidden, kFfn},
      {layer + "input_layernorm.weight", DType::kF32, 0, kHidden},
      {layer + "post_attention_layernorm.weight", DType::kF32, 0, kHidden},
      {"model.norm.weight", DType::kF32, 0, kHidden},
      {"lm_head.weight", DType::kF32, kVocab, kHidden},
  };
  std::string header = "{\"__metadata__\":{\"format\":\"pt\"}", data;
  uint32_t state = 1;
  for (const Tensor& tensor : tensors) {
    const size_t begin = data.size();
    for (uint32_t i = 0; i < std::max(tensor.rows, 1u) * tensor.cols; ++i) {
      append(data, tensor.dtype, nextValue(state));
    }
    std::string dtype = tensor.dtype == DType::kF32   ? "F32"
                        : tensor.dtype == DType::kF16 ? "F16"
                                                      : "BF16";
    std::string shape = (tensor.rows ? std::to_string(tensor.rows) + "," : std::string()) +
                        std::to_string(tensor.cols);
    header += ",\"" + tensor.name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape +
              "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(data.size()) +
              "]}";
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const uint64_t n = header.size();
  return std::string(reinterpret_cast<const char*>(&n), 8) + header + data;
}

Status writeExampleCheckpoint(const std::string& dir) {
  return writeFile(dir + "/model.safetensors", exampleCheckpoint());
}

}  // namespace dcc::plan::testing
