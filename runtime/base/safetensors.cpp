#include "runtime/base/safetensors.h"

#include <algorithm>
#include <cstring>

#include "runtime/base/checked.h"
#include "runtime/base/json.h"
#include "runtime/base/printable.h"

namespace dcc {
namespace {

using nlohmann::json;

// The reference implementation's own limit.
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr std::string_view kLfsPointer = "version https://git-lfs";

struct DTypeBits {
  std::string_view name;
  unsigned bits;
};
constexpr DTypeBits kDTypes[] = {
    {"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"I16", 16}, {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"F8_E5M2FNUZ", 8},
    {"I32", 32}, {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64}, {"U64", 64},
};

// Little-endian N of the first 8 bytes.
uint64_t headerLength(std::span<const uint8_t> head) {
  uint64_t n = 0;
  std::memcpy(&n, head.data(), sizeof(n));
  return n;
}

// 8 + N, when that lies inside the file and is of reasonable size.
Result<uint64_t> headBytes(std::span<const uint8_t> first8, uint64_t file_bytes,
                           const std::string& name) {
  uint64_t n = headerLength(first8);
  if (n > file_bytes - 8) {
    return userError(name + ": is no safetensors file or truncated: its header would have " +
                     std::to_string(n) + " bytes, the file has " + std::to_string(file_bytes));
  }
  if (n > kMaxHeaderBytes) {
    return userError(name + ": safetensors header of " + std::to_string(n) + " bytes; at most " +
                     std::to_string(kMaxHeaderBytes) + " are expected");
  }
  return 8 + n;
}

Error tooShort(const std::string& name, uint64_t file_bytes) {
  return userError(name + ": is no safetensors file: it has only " + std::to_string(file_bytes) +
                   " bytes");
}

// The elements of an array of non-negative integers; nothing for anything else.
std::optional<std::vector<uint64_t>> unsignedArray(const json& value) {
  if (!value.is_array()) return std::nullopt;
  std::vector<uint64_t> out;
  out.reserve(value.size());
  for (const json& element : value) {
    if (!element.is_number_unsigned()) return std::nullopt;
    out.push_back(element.get<uint64_t>());
  }
  return out;
}

// Bytes of a tensor of the shape; nothing when that overflows or is no whole number of bytes.
std::optional<uint64_t> tensorBytes(const std::vector<uint64_t>& shape, unsigned bits) {
  // A dimension of 0 makes the product 0 whatever the others are, but they must not wrap first.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::optional<uint64_t> total = bits;
  for (uint64_t dimension : shape) {
    total = checkedMul(*total, dimension);
    if (!total) return std::nullopt;
  }
  if (*total % 8 != 0) return std::nullopt;
  return *total / 8;
}

// One entry of the header. `data_begin` and `data_bytes`: where the tensor data lies in the file.
Result<SafetensorsTensor> parseTensor(const std::string& tensor_name, const json& entry,
                                      uint64_t data_begin, uint64_t data_bytes,
                                      const std::string& file) {
  std::string where = file + ": tensor " + printable(tensor_name);
  DCC_ASSIGN(JsonFields fields, JsonFields::of(entry, where));
  SafetensorsTensor tensor;
  tensor.name = tensor_name;
  DCC_ASSIGN(tensor.dtype, fields.string("dtype"));
  DCC_ASSIGN(const json* shape, fields.array("shape"));
  DCC_ASSIGN(const json* range, fields.array("data_offsets"));
  auto dimensions = unsignedArray(*shape);
  if (!dimensions) return fields.error("shape", "must hold integers from 0");
  tensor.shape = std::move(*dimensions);
  auto offsets = unsignedArray(*range);
  if (!offsets || offsets->size() != 2) {
    return fields.error("data_offsets", "must be two integers from 0");
  }
  uint64_t begin = (*offsets)[0], end = (*offsets)[1];
  if (begin > end || end > data_bytes) {
    return userError(where + ": its bytes " + std::to_string(begin) + " to " + std::to_string(end) +
                     " lie outside the file's " + std::to_string(data_bytes) +
                     " bytes of data; the file is damaged or truncated");
  }
  tensor.offset = data_begin + begin;
  tensor.bytes = end - begin;
  if (std::optional<unsigned> bits = safetensorsBits(tensor.dtype)) {
    std::optional<uint64_t> expected = tensorBytes(tensor.shape, *bits);
    if (!expected || *expected != tensor.bytes) {
      return userError(where + ": has " + std::to_string(tensor.bytes) +
                       " bytes, its shape and dtype " + tensor.dtype + " need " +
                       (expected ? std::to_string(*expected) : "an impossible number"));
    }
  }
  return tensor;
}

// Tensors must follow each other without gaps from the first byte of data to the last.
Status checkContiguous(const std::vector<SafetensorsTensor>& tensors, uint64_t data_begin,
                       uint64_t file_bytes, const std::string& file) {
  std::vector<const SafetensorsTensor*> order;
  order.reserve(tensors.size());
  for (const SafetensorsTensor& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->offset, a->bytes) < std::pair(b->offset, b->bytes);
  });
  uint64_t end = data_begin;
  for (const SafetensorsTensor* tensor : order) {
    if (tensor->offset != end) {
      return userError(file + ": tensor " + printable(tensor->name) + " begins at byte " +
                       std::to_string(tensor->offset) + "; the tensors before it end at " +
                       std::to_string(end));
    }
    end += tensor->bytes;
  }
  if (end != file_bytes) {
    return userError(file + ": has " + std::to_string(file_bytes) + " bytes; its tensors end at " +
                     std::to_string(end));
  }
  return Status::success();
}

}  // namespace

std::optional<unsigned> safetensorsBits(std::string_view dtype) {
  for (const DTypeBits& known : kDTypes) {
    if (known.name == dtype) return known.bits;
  }
  return std::nullopt;
}

std::string_view safetensorsName(DType type) {
  switch (type) {
    case DType::kF32:
      return "F32";
    case DType::kBF16:
      return "BF16";
    case DType::kF16:
      return "F16";
    case DType::kI32:
      return "I32";
    case DType::kI64:
      return "I64";
    case DType::kU8:
      return "U8";
  }
  return "?";
}

const SafetensorsTensor* SafetensorsHeader::find(std::string_view name) const {
  auto it = std::lower_bound(
      tensors.begin(), tensors.end(), name,
      [](const SafetensorsTensor& tensor, std::string_view n) { return tensor.name < n; });
  return it != tensors.end() && it->name == name ? &*it : nullptr;
}

Result<SafetensorsHeader> parseSafetensorsHeader(std::span<const uint8_t> head, uint64_t file_bytes,
                                                 const std::string& name) {
  if (file_bytes < 8 || head.size() < 8) return tooShort(name, file_bytes);
  DCC_ASSIGN(uint64_t header_bytes, headBytes(head, file_bytes, name));
  if (head.size() < header_bytes) return tooShort(name, head.size());

  SafetensorsHeader header;
  header.file_bytes = file_bytes;
  header.header_bytes = header_bytes;
  header.hash = hashBytes(head.first(header_bytes));
  std::string_view text(reinterpret_cast<const char*>(head.data()) + 8, header_bytes - 8);
  DCC_ASSIGN(json root,
             parseJson(text, name + " (header)", {.depth = 4, .bytes = kMaxHeaderBytes}));
  if (!root.is_object()) {
    return userError(name + ": its safetensors header is " + std::string(jsonTypeName(root)) +
                     "; an object is expected");
  }
  // nlohmann's objects are sorted by key, so the tensors are sorted by name.
  for (const auto& [key, entry] : root.items()) {
    if (key == "__metadata__") continue;  // free text of the file's author
    DCC_ASSIGN(SafetensorsTensor tensor,
               parseTensor(key, entry, header_bytes, file_bytes - header_bytes, name));
    header.tensors.push_back(std::move(tensor));
  }
  DCC_RETURN_IF_ERROR(checkContiguous(header.tensors, header_bytes, file_bytes, name));
  return header;
}

// The file's first 8 + N bytes.
static Result<std::vector<uint8_t>> readHead(const InputFile& file) {
  std::vector<uint8_t> head(std::min<uint64_t>(file.bytes, kLfsPointer.size()));
  DCC_RETURN_IF_ERROR(readAt(file, 0, head));
  if (std::string_view(reinterpret_cast<const char*>(head.data()), head.size()) == kLfsPointer) {
    return userError(file.name +
                     ": is a Git LFS pointer, not the file itself; run `git lfs pull` where it was "
                     "cloned");
  }
  if (head.size() < 8) return tooShort(file.name, file.bytes);
  DCC_ASSIGN(uint64_t header_bytes, headBytes(head, file.bytes, file.name));
  head.resize(header_bytes);
  DCC_RETURN_IF_ERROR(readAt(file, 0, head));
  return head;
}

Result<Hash> safetensorsHeaderHash(const InputFile& file) {
  DCC_ASSIGN(std::vector<uint8_t> head, readHead(file));
  return hashBytes(head);
}

Result<SafetensorsHeader> readSafetensorsHeader(const InputFile& file) {
  DCC_ASSIGN(std::vector<uint8_t> head, readHead(file));
  return parseSafetensorsHeader(head, file.bytes, file.name);
}

Result<SafetensorsHeader> readSafetensorsHeader(const std::string& path) {
  DCC_ASSIGN(InputFile file, openInput(path));
  return readSafetensorsHeader(file);
}

}  // namespace dcc
