// The weights of a Hugging Face model directory: which tensor lies where. Only headers are read.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/hash.h"
#include "runtime/base/status.h"

namespace dcc::huggingface {

// "[2, 3]", for messages.
std::string shapeText(std::span<const uint64_t> shape);

// Numbers drawn evenly from mean - spread to mean + spread.
struct RandomFile {
  uint64_t seed = 0;
  float mean = 0, spread = 0;
};

struct CheckpointFile {
  std::string path;  // absolute, symbolic links kept
  uint64_t bytes = 0;
  Hash header_hash;                       // as SafetensorsHeader's
  std::optional<RandomFile> random = {};  // then there is no such file, nor a hash
};

// Elements in few bits, whose blocks share a scale (runtime/weights/block_scaled.h).
struct Encoding {
  std::string kind;  // "mxfp4", "f8e4m3"
  uint64_t columns = 0, block_rows = 0, block_columns = 0;
  uint32_t scales_file = 0;
  uint64_t scales_offset = 0;  // bytes from the start of that file
};

struct CheckpointTensor {
  uint32_t file = 0;  // index into files()
  std::string dtype;  // safetensors' name, "BF16"
  std::vector<uint64_t> shape;
  uint64_t offset = 0;  // bytes from the start of the file
  uint64_t bytes = 0;
  // Of an encoded one dtype is "BF16", to which it is decoded, and the shape that of its elements.
  std::optional<Encoding> encoding = {};
};

// Where a model's weights come from.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  // The tensor, which must have this shape and a dtype dcc computes with (F32, BF16, F16), or be
  // encoded: F8_E4M3 with NAME_scale_inv beside it, or NAME_blocks and NAME_scales. Valid as long
  // as the source. Errors (user) name directory and tensor.
  virtual Result<const CheckpointTensor*> require(std::string_view name,
                                                  std::span<const uint64_t> shape) = 0;
  // Whether there is a tensor of this name; of weights that are made up all that one asks for.
  virtual bool has(std::string_view name) const = 0;
  // What tensors' `file` means, once all have been asked for.
  virtual const std::vector<CheckpointFile>& files() const = 0;
};

// model.safetensors or, without it, the files that model.safetensors.index.json names.
class Checkpoint : public TensorSource {
 public:
  // Errors (user), one line that names the file: neither of the two there; a damaged header or
  // index; the index names a file that is missing or outside the directory, or a tensor that is
  // not in its file.
  static Result<Checkpoint> open(const std::string& directory);

  const std::vector<CheckpointFile>& files() const override { return files_; }
  // By name. Of an indexed checkpoint only what the index names.
  const std::map<std::string, CheckpointTensor, std::less<>>& tensors() const { return tensors_; }

  bool has(std::string_view name) const override { return find(name) != nullptr; }
  // Of F8_E4M3 tensors so many rows and columns share a scale.
  void setBlocks(uint64_t rows, uint64_t columns) {
    block_rows_ = rows;
    block_columns_ = columns;
  }
  // Null when there is none.
  const CheckpointTensor* find(std::string_view name) const;
  // The error of a missing tensor names the nearest there is.
  Result<const CheckpointTensor*> require(std::string_view name,
                                          std::span<const uint64_t> shape) override;

 private:
  explicit Checkpoint(std::string directory) : directory_(std::move(directory)) {}
  Status readSingle(const std::string& path);
  Status readIndexed(const std::string& index_path);
  Error noWeights() const;
  // The encoded tensor of this name and shape; null when it is not encoded.
  Result<const CheckpointTensor*> encoded(std::string_view name, std::span<const uint64_t> shape);

  std::string directory_;
  std::vector<CheckpointFile> files_;
  std::map<std::string, CheckpointTensor, std::less<>> tensors_;
  std::map<std::string, CheckpointTensor, std::less<>> encoded_;  // that were asked for
  uint64_t block_rows_ = 0, block_columns_ = 0;
};

}  // namespace dcc::huggingface
