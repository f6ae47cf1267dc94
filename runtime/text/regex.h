// Regular expressions of tokenizer.json, through PCRE2.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"

namespace dcc::text {

// A range of bytes of a text.
struct Span {
  size_t begin, end;
};

// A compiled expression. Immutable: may be shared by threads.
class Regex {
 public:
  // `pattern` in the syntax of Oniguruma, which the `tokenizers` library uses (see oniguruma.h).
  // Errors (user) say what PCRE2 makes of it, without a name in front.
  static Result<Regex> compile(std::string_view pattern);

 private:
  friend class Matcher;
  std::shared_ptr<void> code_;  // pcre2_code
  std::string pattern_;         // as it was given, for messages
};

// Searches texts for an expression: the working memory that PCRE2 needs, for one thread.
class Matcher {
 public:
  explicit Matcher(const Regex& regex);
  ~Matcher();
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  // All matches in `text` (valid UTF-8) from left to right; they don't overlap, and an empty one
  // never touches the match before it. An empty text has none. Error (user) when the work exceeds a
  // limit that is proportional to all texts so far: an expression that backtracks without end.
  Status findAll(std::string_view text, std::vector<Span>& matches);

 private:
  struct Scratch;
  Regex regex_;
  std::unique_ptr<Scratch> scratch_;
};

}  // namespace dcc::text
