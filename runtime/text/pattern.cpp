#include "runtime/text/pattern.h"

#include <algorithm>

#include "runtime/base/checked.h"
#include "runtime/text/limits.h"
#include "runtime/text/oniguruma.h"

namespace dcc::text {

Result<SplitBehavior> splitBehavior(const JsonFields& spec) {
  DCC_ASSIGN(const std::string name, spec.stringOr("behavior", "Isolated"));
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return spec.error("behavior", "is \"" + oneLine(name) +
                                    "\"; Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                                    "Contiguous is expected");
}

void coverText(const std::vector<Span>& matches, size_t size, std::vector<Part>& parts) {
  parts.clear();
  size_t end = 0;
  for (const Span& match : matches) {
    if (end != match.begin) parts.push_back({end, match.begin, false});
    parts.push_back({match.begin, match.end, true});
    end = match.end;
  }
  if (end != size) parts.push_back({end, size, false});
}

void splitParts(const std::vector<Part>& parts, SplitBehavior behavior, std::vector<Span>& pieces) {
  pieces.clear();
  const auto joins = [&](bool match, bool neighbour_matches) {
    if (pieces.empty()) return false;
    return behavior == SplitBehavior::kContiguous ? match == neighbour_matches
                                                  : match && !neighbour_matches;
  };
  switch (behavior) {
    case SplitBehavior::kRemoved:
      for (const Part& part : parts) {
        if (!part.match) pieces.push_back({part.begin, part.end});
      }
      break;
    case SplitBehavior::kIsolated:
      for (const Part& part : parts) pieces.push_back({part.begin, part.end});
      break;
    case SplitBehavior::kContiguous:
    case SplitBehavior::kMergedWithPrevious: {
      bool before = false;
      for (const Part& part : parts) {
        if (joins(part.match, before)) {
          pieces.back().end = part.end;
        } else {
          pieces.push_back({part.begin, part.end});
        }
        before = part.match;
      }
      break;
    }
    case SplitBehavior::kMergedWithNext: {
      bool behind = false;
      for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        if (joins(part->match, behind)) {
          pieces.back().begin = part->begin;
        } else {
          pieces.push_back({part->begin, part->end});
        }
        behind = part->match;
      }
      std::reverse(pieces.begin(), pieces.end());
      break;
    }
  }
  std::erase_if(pieces, [](const Span& piece) { return piece.begin == piece.end; });
}

Result<Pattern> Pattern::read(const JsonFields& spec) {
  DCC_ASSIGN(const JsonFields pattern, spec.object("pattern"));
  if (pattern.has("String")) {
    DCC_ASSIGN(std::string text, pattern.string("String"));
    if (!text.empty()) return Pattern(std::move(text));
  } else if (!pattern.has("Regex")) {
    return spec.error("pattern", "has neither \"String\" nor \"Regex\"; one of them is expected");
  }
  // An empty literal matches everywhere, as the empty expression does.
  DCC_ASSIGN(const std::string expression, pattern.stringOr("Regex", ""));
  auto regex = Regex::compile(expression);
  if (!regex.ok()) return pattern.error("Regex", regex.error().message);
  return Pattern(std::move(regex).value());
}

Pattern::Searcher::Searcher(const Pattern& pattern) : pattern_(pattern) {
  if (const Regex* regex = std::get_if<Regex>(&pattern.what_)) {
    matcher_ = std::make_unique<Matcher>(*regex);
  }
}

Status Pattern::Searcher::findAll(std::string_view text, std::vector<Span>& matches) {
  if (matcher_) return matcher_->findAll(text, matches);
  const std::string& literal = std::get<std::string>(pattern_.what_);
  matches.clear();
  for (size_t at = text.find(literal); at != std::string_view::npos;
       at = text.find(literal, at + literal.size())) {
    matches.push_back({at, at + literal.size()});
  }
  return Status::success();
}

Status Replacer::apply(std::string& text) {
  DCC_RETURN_IF_ERROR(searcher_.findAll(text, matches_));
  if (matches_.empty()) return Status::success();
  const std::optional<size_t> added = checkedMul(matches_.size(), content_.size());
  const std::optional<size_t> most = added ? checkedAdd(text.size(), *added) : std::nullopt;
  DCC_RETURN_IF_ERROR(checkGrowth(text.size(), most.value_or(SIZE_MAX)));
  std::string out;
  out.reserve(*most);
  size_t end = 0;
  for (const Span& match : matches_) {
    out.append(text, end, match.begin - end).append(content_);
    end = match.end;
  }
  out.append(text, end);
  text = std::move(out);
  return Status::success();
}

}  // namespace dcc::text
