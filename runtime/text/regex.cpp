#include "runtime/text/regex.h"

#include <algorithm>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "runtime/text/limits.h"
#include "runtime/text/oniguruma.h"
#include "runtime/text/utf8.h"

namespace dcc::text {
namespace {

// What the search of a text may cost, in PCRE2's steps. Expressions of real models need a few steps
// per match, and about one per character in a long run of spaces. A single match has kFreeSteps;
// when that is not enough it is tried again with more, charged to a budget in proportion to the
// text.
constexpr uint32_t kFreeSteps = 4096;
constexpr uint32_t kGrowth = 16;
constexpr uint64_t kBudget = 10'000'000;
constexpr uint64_t kBudgetPerByte = 256;
constexpr uint32_t kHeapKiB = 256 * 1024;  // of the interpreter, where there is no JIT
constexpr size_t kJitStackStart = 32 * 1024;
constexpr size_t kJitStackMost = 8 * 1024 * 1024;

std::string pcre2Message(int code) {
  char buffer[256];
  if (pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(buffer), sizeof buffer) < 0) {
    return "PCRE2 error " + std::to_string(code);
  }
  return buffer;
}

const pcre2_code* asCode(const std::shared_ptr<void>& code) {
  return static_cast<const pcre2_code*>(code.get());
}

}  // namespace

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.size() > kMostPatternBytes) {
    return userError("has " + std::to_string(pattern.size()) + " bytes; at most " +
                     std::to_string(kMostPatternBytes) + " are expected");
  }
  DCC_ASSIGN(const std::string translated, onigurumaToPcre2(pattern));
  // Oniguruma's ^ and $ always match at line breaks, and a line break is '\n'.
  std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  if (!context) return runtimeError("out of memory for a regular expression");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                    &offset, context.get());
  if (!code) {
    return userError("is refused by PCRE2 (" + pcre2Message(error) +
                     "); a regular expression that it takes is expected");
  }
  Regex regex;
  regex.code_ =
      std::shared_ptr<void>(code, [](void* p) { pcre2_code_free(static_cast<pcre2_code*>(p)); });
  regex.pattern_ = pattern;
  // Without JIT (a failure here) pcre2_match interprets.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return regex;
}

struct Matcher::Scratch {
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
  uint64_t budget = kBudget;

  // pcre2_match from a byte on, within the budget.
  int search(const std::shared_ptr<void>& code, std::string_view text, size_t from) {
    uint32_t steps = kFreeSteps;
    while (true) {
      pcre2_set_match_limit(context, steps);
      const int count = pcre2_match(asCode(code), reinterpret_cast<PCRE2_SPTR>(text.data()),
                                    text.size(), from, PCRE2_NO_UTF_CHECK, match, context);
      if (steps > kFreeSteps) budget -= std::min<uint64_t>(budget, steps);
      if (count != PCRE2_ERROR_MATCHLIMIT || budget == 0) return count;
      steps = static_cast<uint32_t>(
          std::min({uint64_t{steps} * kGrowth, budget, uint64_t{UINT32_MAX}}));
    }
  }

  ~Scratch() {
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

Matcher::Matcher(const Regex& regex) : regex_(regex), scratch_(std::make_unique<Scratch>()) {
  scratch_->match = pcre2_match_data_create(1, nullptr);
  scratch_->context = pcre2_match_context_create(nullptr);
  scratch_->stack = pcre2_jit_stack_create(kJitStackStart, kJitStackMost, nullptr);
  if (!scratch_->context) return;
  pcre2_set_heap_limit(scratch_->context, kHeapKiB);
  // A null stack (no JIT) means 32 KiB of the machine stack.
  pcre2_jit_stack_assign(scratch_->context, nullptr, scratch_->stack);
}

Matcher::~Matcher() = default;

Status Matcher::findAll(std::string_view text, std::vector<Span>& matches) {
  matches.clear();
  if (text.empty()) return Status::success();  // nothing is looked for in nothing
  if (!scratch_->match || !scratch_->context) {
    return runtimeError("out of memory for a regular expression");
  }
  scratch_->budget += std::min<uint64_t>(text.size(), UINT32_MAX) * kBudgetPerByte;
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(scratch_->match);
  size_t from = 0;
  size_t last_end = std::string_view::npos;
  while (from <= text.size()) {
    const int count = scratch_->search(regex_.code_, text, from);
    if (count == PCRE2_ERROR_NOMATCH) break;
    if (count < 0) {
      return userError(
          "regular expression gives up on the text (" + pcre2Message(count) +
          "); one that doesn't backtrack without end is expected: " + oneLine(regex_.pattern_));
    }
    // With \K in a lookaround a match can end before it begins, or before the search began.
    const size_t begin = bounds[0], end = bounds[1];
    if (begin > end || begin < from) {
      return userError(
          "regular expression matches backwards; \\K is not supported in a lookaround: " +
          oneLine(regex_.pattern_));
    }
    if (begin == end && end == last_end) {
      if (end == text.size()) break;
      from = end + utf8Length(static_cast<unsigned char>(text[end]));
      continue;
    }
    matches.push_back({begin, end});
    from = last_end = end;
  }
  return Status::success();
}

}  // namespace dcc::text
