// Models as nn modules: whole shapes, nothing cut, no weight read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "frontends/huggingface/family.h"
#include "frontends/strategy_spec.h"
#include "mlir/IR/OwningOpRef.h"

namespace dcc::huggingface {

struct MeshAxis {
  std::string name;
  int64_t size = 1;
};

// A rule that the user gave, on top of the family's plan.
struct UserRule {
  std::string pattern, strategy, origin;   // origin: "plan.json:3", "--tp-rule"
  std::optional<StrategySpec> definition;  // of the strategy, where the rule declares it
};

struct ImportOptions {
  std::string directory;  // holds config.json and the safetensors; of a graph the latter
  std::vector<MeshAxis> mesh;
  bool auto_plan = true;  // the family's own plan comes first
  std::vector<UserRule> rules;
  bool expert_parallel = false;                // the family's rules for whole experts come
  size_t first_amendment = 0;                  // in front of this rule
  std::optional<DType> compute = DType::kF32;  // of activations; none: as the config says
  std::optional<uint64_t> dummy_seed;          // no safetensors: random weights by this seed
  // 0: the default.
  int64_t max_tokens = 0, max_seqs = 0, max_seq_len = 0;
};

// What stands around a model's layers in its module.
struct ModelText {
  std::string file;                            // that says what the model is, for errors
  std::string name;                            // "LlamaForCausalLM"
  std::span<const PlanRule> plan = {};         // "auto"
  std::span<const PlanRule> expert_plan = {};  // of --expert-parallel
  DType stored = DType::kF32;                  // what it says of its weights' type
};

// Names of a causal model's entries, in the order in which they are built.
inline constexpr const char* kEntries[] = {"prefill", "decode", "logits"};

// The model's entries and what belongs to them. Errors (user): limits, and the model's own.
Result<mlir::OwningOpRef<mlir::ModuleOp>> buildModule(mlir::MLIRContext& context,
                                                      const Model& model, TensorSource& tensors,
                                                      const ModelText& text,
                                                      const ImportOptions& options);

// A Hugging Face model directory. Errors (user) name config.json and key, or the tensor.
Result<mlir::OwningOpRef<mlir::ModuleOp>> importModel(mlir::MLIRContext& context,
                                                      const ImportOptions& options);

}  // namespace dcc::huggingface
