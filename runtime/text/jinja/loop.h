// `loop` in the body of a for: where the loop is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/text/jinja/callable.h"
#include "runtime/text/jinja/run.h"
#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

class Loop : public std::enable_shared_from_this<Loop> {
 public:
  // What is visited for an item, if it is: `for x in xs if ...`.
  using Filter = std::function<Result<std::optional<Value>>(const Value&)>;
  // loop(items): the text of the same loop over others, one level deeper.
  using Recursion = std::function<Result<Value>(const Value& items, int64_t level)>;

  // Both functions may be empty. `level`: of recursion, from 0.
  Loop(std::vector<Value> items, Filter filter, Recursion recursion, int64_t level);

  // The next item; null after the last. Items are asked for only when they are due, or `last` and
  // the like want to know: the filter sees what the body did.
  Result<const Value*> advance();
  // The loop is over; its functions are not called any more.
  void end();

  // loop.NAME; nothing: there is no such thing.
  Result<std::optional<Value>> field(Run& run, std::string_view name);
  Result<Value> call(Run& run, const Arguments& arguments) const;
  // Whether these differ from what it was called with before.
  bool changed(Run& run, std::vector<Value> values);
  int64_t index() const { return index_; }

  int depth() const { return depth_; }

 private:
  // Whether there are `ahead` more items than the current.
  Result<bool> fetch(int64_t ahead);
  Result<int64_t> length();

  std::vector<Value> items_;  // visited, then those that the filter has let through, then the rest
  size_t kept_ = 0;           // of them that the filter has let through
  size_t asked_ = 0;          // of them that the filter has seen
  int64_t index_ = -1;        // of the current
  Filter filter_;
  Recursion recursion_;
  int64_t level_;
  int depth_;
  std::optional<std::vector<Value>> last_changed_;
};

}  // namespace dcc::jinja
