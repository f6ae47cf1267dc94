// A template in tokens: text between tags, and what stands in them. White space around tags is
// dropped as Jinja drops it with trim_blocks and lstrip_blocks, which is how transformers sets it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"

namespace dcc::jinja {

enum class TokenKind {
  kData,           // text of the template
  kVariableBegin,  // {{
  kVariableEnd,
  kBlockBegin,  // {%
  kBlockEnd,
  kName,
  kString,  // `text` without quotes and escapes
  kInteger,
  kFloat,
  kOperator,  // `text` is + - * / // % ** ~ [ ] ( ) { } == != > >= < <= = . : | , ;
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  uint32_t line = 1;
};

// The last token is kEnd. Errors: a tag, text or comment without end, brackets that don't match,
// characters that mean nothing. `line` is then that of the error.
Result<std::vector<Token>> tokenize(std::string_view source, uint32_t& line);

// "end of print statement", "'for'": a token for messages.
std::string describe(const Token& token);

}  // namespace dcc::jinja
