// Normalizers of tokenizer.json: they change a text before it is cut.
#pragma once

#include <memory>
#include <string>

#include "runtime/base/json.h"
#include "runtime/base/status.h"

namespace dcc::text {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // `text` is valid UTF-8, before and after. May run in several threads at once.
  virtual Status apply(std::string& text) const = 0;
};

// `spec` is the value of "normalizer". Errors (user) begin with `where`.
Result<std::unique_ptr<Normalizer>> makeNormalizer(const nlohmann::json& spec,
                                                   const std::string& where);

// Those with a file of their own; makeNormalizer chooses.
Result<std::unique_ptr<Normalizer>> makeBertNormalizer(const JsonFields& spec);
Result<std::unique_ptr<Normalizer>> makePrecompiled(const JsonFields& spec);
Result<std::unique_ptr<Normalizer>> makeReplace(const JsonFields& spec);

}  // namespace dcc::text
