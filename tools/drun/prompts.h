// Where prompts come from, and what they are in tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/text/tokenizer.h"
#include "tools/drun/stdio.h"

namespace dcc::drun {

struct Prompt {
  std::string where;                // "in.jsonl:3", for messages
  std::optional<std::string> text;  // as it was given
  std::vector<int32_t> ids;         // given, or the text's
  std::vector<int32_t> types = {};  // given: of each id
};

// Of a file of prompts.
inline constexpr size_t kMaxInputBytes = size_t{1} << 30;

// Calls `each` with every line that is not empty, and "<name>:<line>".
Status forJsonLines(
    std::string_view text, const std::string& name,
    const std::function<Status(std::string_view line, const std::string& where)>& each);
// The error of parsing a line as a text of its own, with the position in the file.
Error ofLine(const Error& error, const std::string& where);

// One line: {"text": "..."} or {"input_ids": [...]}, to which "token_type_ids" may come. Errors
// (user) begin with `where`.
Result<Prompt> promptOf(std::string_view line, const std::string& where);

// {"text": "..."} or {"input_ids": [...]} a line; empty lines hold none. `waiting` is called every
// line. Errors (user) name file and line.
Result<std::vector<Prompt>> promptsFromJsonl(std::string_view text, const std::string& name,
                                             const Waiting& waiting = {});
// One prompt a line.
std::vector<Prompt> promptsFromLines(std::string_view text, const std::string& name);

// Fills `ids` of all prompts that have a text. `tokenizer` may be null: then a text is an error,
// which names `dir`. `waiting` is called every prompt.
Status encodePrompts(std::vector<Prompt>& prompts, const text::Tokenizer* tokenizer,
                     const std::string& dir, const Waiting& waiting = {});

}  // namespace dcc::drun
