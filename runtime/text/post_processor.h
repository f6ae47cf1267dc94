// Post-processors of tokenizer.json: they put special tokens around a text's tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/base/json.h"
#include "runtime/base/status.h"

namespace dcc::text {

class PostProcessor {
 public:
  // `spec` is the value of "post_processor". Errors (user) begin with `where`.
  static Result<PostProcessor> read(const nlohmann::json& spec, const std::string& where);

  // The tokens of one text; without `special`, special tokens are not added.
  std::vector<int32_t> apply(std::vector<int32_t> ids, bool special) const;
  int32_t highestId() const;  // of the special tokens; -1: there are none

 private:
  // What a template lists: the text, or special tokens.
  struct Part {
    bool text;
    std::vector<int32_t> ids;
  };
  static Result<std::vector<Part>> readTemplate(const JsonFields& spec);
  Status addStep(const nlohmann::json& spec, const std::string& where);

  std::vector<std::vector<Part>> steps_;  // templates, applied one after the other
};

}  // namespace dcc::text
