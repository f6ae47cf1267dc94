#include "frontends/huggingface/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <ranges>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/base/json.h"
#include "runtime/base/nearest.h"
#include "runtime/base/printable.h"
#include "runtime/base/safetensors.h"

namespace dcc::huggingface {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSingle = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

std::string absolutePath(const fs::path& path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  return (error ? path : absolute).lexically_normal().string();
}

std::string inQuotes(std::string_view name) { return "\"" + printable(name) + "\""; }

// An index comes with the download: it may name files in the directory and below, no others.
bool staysInside(const std::string& name) {
  fs::path path(name);
  return !name.empty() && name.find('\0') == name.npos && path.is_relative() &&
         std::ranges::none_of(path, [](const fs::path& part) { return part == ".."; });
}

CheckpointTensor place(uint32_t file, const SafetensorsTensor& tensor) {
  return {file, tensor.dtype, tensor.shape, tensor.offset, tensor.bytes};
}

// From file name to the names of its tensors; ordered, so that file numbers don't depend on how the
// index happens to be sorted.
using WeightMap = std::map<std::string, std::vector<std::string>>;

Result<WeightMap> readWeightMap(const std::string& index_path) {
  DCC_ASSIGN(nlohmann::json document, readJson(index_path));
  DCC_ASSIGN(JsonFields index, JsonFields::of(document, index_path));
  DCC_ASSIGN(JsonFields map, index.object("weight_map"));
  WeightMap files;
  for (const auto& [tensor, file] : map.value().items()) {
    if (!file.is_string() || !staysInside(file.get_ref<const std::string&>())) {
      return map.error(printable(tensor),
                       (file.is_string() ? inQuotes(file.get_ref<const std::string&>())
                                         : std::string(jsonTypeName(file))) +
                           " is no name of a file inside the directory; one like "
                           "\"model-00001-of-00002.safetensors\" is expected");
    }
    files[file.get<std::string>()].push_back(tensor);
  }
  if (files.empty()) return map.error("weight_map", "is empty; tensors' files are expected");
  return files;
}

}  // namespace

std::string shapeText(std::span<const uint64_t> shape) {
  std::string text = "[";
  for (uint64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

Result<Checkpoint> Checkpoint::open(const std::string& directory) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    return userError(directory + ": is no directory; a Hugging Face model directory is expected");
  }
  Checkpoint checkpoint(directory);
  fs::path single = fs::path(directory) / kSingle, index = fs::path(directory) / kIndex;
  if (fs::exists(single, ignored)) {
    DCC_RETURN_IF_ERROR(checkpoint.readSingle(single.string()));
  } else if (fs::exists(index, ignored)) {
    DCC_RETURN_IF_ERROR(checkpoint.readIndexed(index.string()));
  } else {
    return checkpoint.noWeights();
  }
  return checkpoint;
}

Status Checkpoint::readSingle(const std::string& path) {
  DCC_ASSIGN(SafetensorsHeader header, readSafetensorsHeader(path));
  files_.push_back({absolutePath(path), header.file_bytes, header.hash});
  for (const SafetensorsTensor& tensor : header.tensors) {
    tensors_.emplace(tensor.name, place(0, tensor));
  }
  return Status::success();
}

Status Checkpoint::readIndexed(const std::string& index_path) {
  DCC_ASSIGN(WeightMap files, readWeightMap(index_path));
  for (const auto& [name, tensors] : files) {
    fs::path path = fs::path(directory_) / name;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
      return userError(index_path + ": names " + inQuotes(name) + ", which is missing; all " +
                       std::to_string(files.size()) + " files it names are expected beside it");
    }
    DCC_ASSIGN(SafetensorsHeader header, readSafetensorsHeader(path.string()));
    auto file = static_cast<uint32_t>(files_.size());
    files_.push_back({absolutePath(path), header.file_bytes, header.hash});
    for (const std::string& tensor : tensors) {
      const SafetensorsTensor* found = header.find(tensor);
      if (!found) {
        return userError(index_path + ": says that " + inQuotes(tensor) + " is in " +
                         inQuotes(name) +
                         ", which does not hold it; index and files of one download are expected");
      }
      tensors_.emplace(tensor, place(file, *found));
    }
  }
  return Status::success();
}

Error Checkpoint::noWeights() const {
  std::error_code error;
  for (fs::directory_iterator it(directory_, error), end; !error && it != end;
       it.increment(error)) {
    std::string extension = it->path().extension().string();
    if (extension != ".bin" && extension != ".pt" && extension != ".pth") continue;
    return userError(directory_ + ": has weights in PyTorch's format only (" +
                     inQuotes(it->path().filename().string()) +
                     "); convert them to safetensors, e.g. with transformers' "
                     "from_pretrained(...).save_pretrained(...)");
  }
  return userError(directory_ + ": has no weights; " + std::string(kSingle) + " or " +
                   std::string(kIndex) +
                   " with the files it names is expected; --weights dummy needs none");
}

const CheckpointTensor* Checkpoint::find(std::string_view name) const {
  auto tensor = tensors_.find(name);
  return tensor == tensors_.end() ? nullptr : &tensor->second;
}

Result<const CheckpointTensor*> Checkpoint::encoded(std::string_view name,
                                                    std::span<const uint64_t> shape) {
  if (auto known = encoded_.find(name); known != encoded_.end()) return &known->second;
  if (shape.size() < 2) return nullptr;
  const std::string base(name), where = directory_ + ": tensor " + inQuotes(name) + " ";
  const std::vector<uint64_t> whole(shape.begin(), shape.end());
  const uint64_t rows = whole[whole.size() - 2], columns = whole.back();
  std::vector<uint64_t> elements = whole, scales_shape = whole;
  const CheckpointTensor *tensor = find(name), *blocks = find(base + "_blocks"), *scales = nullptr;
  Encoding encoding;
  encoding.columns = columns;
  std::string scales_type;
  if (!tensor && blocks) {
    tensor = blocks;
    encoding.kind = "mxfp4";
    encoding.block_rows = 1;
    encoding.block_columns = 32;
    scales_type = "U8";
    scales = find(base + "_scales");
    elements.back() = columns / 32;
    scales_shape = elements;
    elements.push_back(16);
    if (columns % 32 != 0 || tensor->dtype != "U8") elements.clear();
  } else if (tensor && tensor->dtype == "F8_E4M3") {
    encoding.kind = "f8e4m3";
    scales_type = "F32";
    scales = find(base + "_scale_inv");
    if (block_rows_ == 0 || shape.size() != 2) {
      return userError(where + "has type F8_E4M3; config.json's quantization_config must say the " +
                       "sizes of the blocks that share a scale");
    }
    encoding.block_rows = block_rows_;
    encoding.block_columns = block_columns_;
    scales_shape = {ceilDiv(rows, block_rows_), ceilDiv(columns, block_columns_)};
  } else {
    return nullptr;
  }
  if (!scales || scales->dtype != scales_type || scales->shape != scales_shape) {
    return userError(where + "is encoded as " + encoding.kind + " but has no scales " +
                     shapeText(scales_shape) + " of type " + scales_type + " beside it");
  }
  if (tensor->shape != elements) {
    return userError(where + "is encoded as " + encoding.kind + " in shape " +
                     shapeText(tensor->shape) + "; elements of shape " + shapeText(shape) +
                     ", as config.json says, are expected");
  }
  encoding.scales_file = scales->file;
  encoding.scales_offset = scales->offset;
  CheckpointTensor decoded{tensor->file, "BF16", whole, tensor->offset, tensor->bytes, encoding};
  return &encoded_.emplace(base, std::move(decoded)).first->second;
}

Result<const CheckpointTensor*> Checkpoint::require(std::string_view name,
                                                    std::span<const uint64_t> shape) {
  const std::string where = directory_ + ": tensor " + inQuotes(name) + " ";
  DCC_ASSIGN(const CheckpointTensor* encoded, this->encoded(name, shape));
  if (encoded) return encoded;
  const CheckpointTensor* tensor = find(name);
  if (!tensor) {
    std::string nearest = nearestName(name, std::views::keys(tensors_));
    return userError(
        where + "is missing; shape " + shapeText(shape) + " is expected" +
        (nearest.empty() ? "" : " (the nearest name there is " + inQuotes(nearest) + ")"));
  }
  const std::string& path = files_[tensor->file].path;
  std::optional<DType> type = parseDType(tensor->dtype);
  if (type != DType::kF32 && type != DType::kBF16 && type != DType::kF16) {
    return userError(where + "has type " + printable(tensor->dtype) + " in " + path +
                     "; F32, BF16 or F16 is expected");
  }
  if (!std::ranges::equal(tensor->shape, shape)) {
    return userError(where + "has shape " + shapeText(tensor->shape) + " in " + path + "; " +
                     shapeText(shape) + ", as config.json says, is expected");
  }
  return tensor;
}

}  // namespace dcc::huggingface
