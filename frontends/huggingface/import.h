// A Hugging Face model directory as an nn module: whole shapes, nothing cut, no weight read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "frontends/huggingface/model_builder.h"
#include "mlir/IR/OwningOpRef.h"

namespace dcc::huggingface {

struct MeshAxis {
  std::string name;
  int64_t size = 1;
};

// A rule that the user gave, on top of the family's plan.
struct UserRule {
  std::string pattern, strategy, origin;  // origin: "plan.json:3", "--tp-rule"
};

struct ImportOptions {
  std::string directory;  // holds config.json and the safetensors
  std::vector<MeshAxis> mesh;
  bool auto_plan = true;  // the family's own plan comes first
  std::vector<UserRule> rules;
  DType compute = DType::kF32;         // of activations
  std::optional<uint64_t> dummy_seed;  // no safetensors: random weights by this seed
  // 0: the default.
  int64_t max_tokens = 0, max_seqs = 0, max_seq_len = 0;
};

// Errors (user) name config.json and key, or the tensor.
Result<mlir::OwningOpRef<mlir::ModuleOp>> importModel(mlir::MLIRContext& context,
                                                      const ImportOptions& options);

}  // namespace dcc::huggingface
