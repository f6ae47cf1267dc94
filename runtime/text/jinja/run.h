// One rendering: the memory and time it takes, what it makes values with, and why it failed.
//
// Templates are untrusted. Every node that is evaluated costs a step, so does every item that is
// visited and every few bytes that are copied; values count their memory while they live. Whoever
// may take much asks for room() first and stops where there is none; what takes little is only
// counted. Either way the next step() fails.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/text/jinja/callable.h"
#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

struct Limits {
  uint64_t steps = 50'000'000;           // a second or two
  uint64_t bytes = uint64_t{256} << 20;  // of all values at a time
  uint64_t output = uint64_t{64} << 20;  // of the text
};

// Of calls and of statements and expressions in each other; a frame of each is up to a kilobyte or
// two (with sanitizers) of stack.
constexpr int kDeepestEvaluation = 800;
// Lists in lists in ...; values nest by recursion too.
constexpr int kDeepestValue = 100;

enum class FailureKind {
  kRaised,       // raise_exception: `message` is what it was given
  kFailed,       // Python would have failed too
  kUnsupported,  // Jinja can do it, this engine cannot
  kLimit,
};

struct Failure {
  FailureKind kind = FailureKind::kFailed;
  std::string message;
  uint32_t line = 0;  // of the template; 0: not known yet
};

class Run {
 public:
  // `now`: the time that strftime_now tells.
  Run(const Limits& limits, const std::tm& now) : limits_(limits), now_(now) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  const std::tm& now() const { return now_; }

  // Values that this run counts.
  Value string(std::string bytes, bool safe = false);
  Value sequence(SequenceKind kind, std::vector<Value> items);
  Value list(std::vector<Value> items) { return sequence(SequenceKind::kList, std::move(items)); }
  Value tuple(std::vector<Value> items) { return sequence(SequenceKind::kTuple, std::move(items)); }
  Value generator(std::vector<Value> items);
  Value dict(Dict dict);
  Value nameSpace(Dict fields);
  Value callable(std::shared_ptr<const Callable> callable);

  // Takes time. False: there is none left, or no memory; what is done then need not be right.
  bool spend(uint64_t steps);
  // The same before a node is evaluated; an error then.
  Status step();
  // Whether values of so many bytes would fit.
  bool room(uint64_t bytes);
  uint64_t freeBytes() const { return bytes_ < limits_.bytes ? limits_.bytes - bytes_ : 0; }
  uint64_t mostOutput() const { return limits_.output; }
  // A limit has been passed: the template "takes more than 256 MiB of memory".
  void exceed(std::string what);

  // How deep evaluations are in each other.
  int& nesting() { return nesting_; }

  // Errors of other kinds than kFailed.
  Error unsupported(std::string what);
  Error raised(std::string words);
  // An error of a node in this line; the first counts, which is the innermost.
  void failedAt(uint32_t line, const Error& error);
  const Failure& failure() const { return failure_; }

 private:
  Error fail(FailureKind kind, std::string message);

  const Limits limits_;
  const std::tm now_;
  uint64_t steps_ = 0, bytes_ = 0;
  int nesting_ = 0;
  std::string exceeded_;  // the first limit that was passed
  Failure failure_;
  // Values only point to them: a namespace may hold itself.
  std::vector<std::unique_ptr<Namespace>> namespaces_;
};

// Builds a text whose length is not known before, as far as there is room.
class TextBuilder {
 public:
  explicit TextBuilder(Run& run) : TextBuilder(run, run.freeBytes()) {}
  TextBuilder(Run& run, uint64_t most) : run_(run), most_(most) {}

  // False where it has become too long; the rest is dropped.
  bool add(std::string_view text);
  bool repeat(std::string_view text, uint64_t times);
  size_t size() const { return text_.size(); }
  std::string take() { return std::move(text_); }

 private:
  Run& run_;
  uint64_t most_;
  std::string text_;
};

}  // namespace dcc::jinja
