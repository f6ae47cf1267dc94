// Special tokens by name, as a template sees them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "runtime/base/status.h"
#include "runtime/text/jinja/template.h"

namespace dcc::text {

// {"bos_token": "<s>", ...}: of tokenizer_config.json (`config`, read from `path`) every field that
// ends in _token and is a text or an AddedToken, and named `extra_special_tokens`; where it has no
// added_tokens_decoder, special_tokens_map.json of `dir` goes before it. Errors (user): a damaged
// special_tokens_map.json, a standard token of another type.
Result<jinja::Variables> specialTokens(const nlohmann::json& config, const std::string& path,
                                       const std::string& dir);

}  // namespace dcc::text
