// Cutting texts at a literal or a regular expression, as Split and Replace of tokenizer.json do.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/base/json.h"
#include "runtime/base/status.h"
#include "runtime/text/regex.h"

namespace dcc::text {

// What becomes of the matches when a text is cut.
enum class SplitBehavior {
  kRemoved,             // they are left out
  kIsolated,            // each is a piece
  kMergedWithPrevious,  // each ends the piece before it
  kMergedWithNext,      // each begins the piece behind it
  kContiguous,          // matches that touch are one piece
};

Result<SplitBehavior> splitBehavior(const JsonFields& spec);  // its field "behavior"

// A part of a text; the parts of a text touch and cover it.
struct Part {
  size_t begin, end;
  bool match;
};

// Adds what lies between the matches (ordered, disjoint) in a text of `size` bytes.
void coverText(const std::vector<Span>& matches, size_t size, std::vector<Part>& parts);

// The pieces that remain of the parts. None is empty.
void splitParts(const std::vector<Part>& parts, SplitBehavior behavior, std::vector<Span>& pieces);

// {"String": "..."} or {"Regex": "..."}. Immutable.
class Pattern {
 public:
  // Reads the field "pattern" of `spec`.
  static Result<Pattern> read(const JsonFields& spec);
  static Pattern literal(std::string text) { return Pattern(std::move(text)); }

  // Searches one text after the other, in one thread.
  class Searcher {
   public:
    explicit Searcher(const Pattern& pattern);
    // The matches in valid UTF-8, from left to right, disjoint. Errors: Matcher::findAll.
    Status findAll(std::string_view text, std::vector<Span>& matches);

   private:
    const Pattern& pattern_;
    std::unique_ptr<Matcher> matcher_;
  };

 private:
  explicit Pattern(std::variant<std::string, Regex> what) : what_(std::move(what)) {}
  std::variant<std::string, Regex> what_;
};

// Replaces the matches of a pattern in one text after the other, in one thread.
class Replacer {
 public:
  // Refers to both.
  Replacer(const Pattern& pattern, const std::string& content)
      : searcher_(pattern), content_(content) {}
  // Error: the text is unchanged.
  Status apply(std::string& text);

 private:
  Pattern::Searcher searcher_;
  const std::string& content_;
  std::vector<Span> matches_;
};

}  // namespace dcc::text
