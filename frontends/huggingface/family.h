// Model families: how a config.json becomes nn ops. Adding one is one file in families/ and a line
// in family.cpp.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "frontends/huggingface/config.h"
#include "frontends/huggingface/model_builder.h"

namespace dcc::huggingface {

struct PlanRule {
  std::string_view pattern, strategy;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual std::string size() const = 0;  // "6 layers", for a line to the user
  virtual int64_t vocabulary() const = 0;
  virtual int64_t maxSequence() const = 0;          // the model's own limit, tokens
  virtual int64_t tokenTypes() const { return 0; }  // 0: it has none

  // Whether a step has whole sequences, and the model the one entry "encode"; else it continues
  // them with "prefill", "decode" and "logits".
  virtual bool encodes() const { return false; }
  // What the entry that `builder` is in gives. Symbols shared by the entries are declared by the
  // first. Errors (user) name the file.
  virtual Result<std::vector<NamedValue>> results(ModelBuilder& builder) const = 0;
};

// A model that continues sequences.
class CausalModel : public Model {
 public:
  // The logits of every token, with builder.lastToken() where the last tokens' are enough from
  // there on.
  virtual Result<mlir::Value> logits(ModelBuilder& builder) const = 0;

  Result<std::vector<NamedValue>> results(ModelBuilder& builder) const final {
    DCC_ASSIGN(const mlir::Value value, logits(builder));
    return std::vector<NamedValue>{{"logits", value}};
  }
};

struct Family {
  std::string_view model_type;          // config.json's
  std::string_view architecture;        // "LlamaForCausalLM"
  std::span<const PlanRule> (*plan)();  // "auto"
  Result<std::unique_ptr<Model>> (*read)(const ConfigReader& config);
  // Rules that --expert-parallel puts behind the plan's; null where there are no experts.
  std::span<const PlanRule> (*expert_plan)() = nullptr;
};

// Null when no family has that model_type or architecture.
const Family* findFamily(const ConfigReader& config);
std::string familyNames();

}  // namespace dcc::huggingface
