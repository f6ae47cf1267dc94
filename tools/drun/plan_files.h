// What stands in a plan directory beside the plans.
#pragma once

#include <optional>
#include <string>

#include "runtime/base/status.h"
#include "runtime/generate/generation_config.h"
#include "runtime/text/tokenizer.h"

namespace dcc::drun {

struct PlanFiles {
  std::string dir;
  std::optional<text::Tokenizer> tokenizer;
  generate::GenerationConfig generation;
  std::optional<std::string> prompt;  // model.json's

  const text::Tokenizer* tokenizerOrNull() const { return tokenizer ? &*tokenizer : nullptr; }
  // Error (user): generation_config.json asks for something that is not built.
  Status canGenerate() const {
    const std::string& unsupported = generation.unsupported;
    return unsupported.empty() ? Status::success() : Status(userError(unsupported));
  }
};

// Errors (user): files that are there but damaged.
Result<PlanFiles> readPlanFiles(const std::string& dir);

}  // namespace dcc::drun
