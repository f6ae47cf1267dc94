#include "runtime/text/jinja/loop.h"

#include <algorithm>
#include <memory>

#include "runtime/text/jinja/operators.h"

namespace dcc::jinja {
namespace {

// loop.cycle(...) and loop.changed(...).
class LoopMethod final : public Callable {
 public:
  LoopMethod(std::shared_ptr<Loop> loop, bool cycle) : loop_(std::move(loop)), cycle_(cycle) {}

  Result<Value> call(Run& run, Arguments arguments) const override {
    std::vector<Value>& values = arguments.positional;
    if (!arguments.named.empty()) return userError("takes no named arguments");
    if (!cycle_) return Value(loop_->changed(run, std::move(values)));
    if (values.empty()) return userError("no items for cycling given");
    return values[static_cast<size_t>(loop_->index()) % values.size()];
  }

  int depth() const override { return loop_->depth() + 1; }

 private:
  std::shared_ptr<Loop> loop_;
  bool cycle_;
};

int depthOver(const std::vector<Value>& items) {
  int deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, item.depth());
  return deepest + 1;
}

}  // namespace

Loop::Loop(std::vector<Value> items, Filter filter, Recursion recursion, int64_t level)
    : items_(std::move(items)),
      filter_(std::move(filter)),
      recursion_(std::move(recursion)),
      level_(level),
      depth_(depthOver(items_)) {
  if (!filter_) kept_ = asked_ = items_.size();
}

Result<bool> Loop::fetch(int64_t ahead) {
  const auto wanted = static_cast<size_t>(index_ + ahead);
  while (kept_ <= wanted && asked_ < items_.size()) {
    Value item = items_[asked_++];
    if (filter_) {
      DCC_ASSIGN(std::optional<Value> kept, filter_(item));
      if (!kept) continue;
      item = std::move(*kept);
    }
    items_[kept_++] = std::move(item);
  }
  return wanted < kept_;
}

Result<const Value*> Loop::advance() {
  DCC_ASSIGN(const bool more, fetch(1));
  if (!more) return static_cast<const Value*>(nullptr);
  return &items_[static_cast<size_t>(++index_)];
}

void Loop::end() {
  filter_ = nullptr;
  recursion_ = nullptr;
  asked_ = items_.size();
  last_changed_.reset();
}

Result<int64_t> Loop::length() {
  DCC_ASSIGN(const bool unused, fetch(INT32_MAX));
  (void)unused;
  return static_cast<int64_t>(kept_);
}

Result<std::optional<Value>> Loop::field(Run& run, std::string_view name) {
  using Field = std::optional<Value>;
  if (name == "index0") return Field(index_);
  if (name == "index") return Field(index_ + 1);
  if (name == "first") return Field(index_ == 0);
  if (name == "depth0") return Field(level_);
  if (name == "depth") return Field(level_ + 1);
  if (name == "last") {
    DCC_ASSIGN(const bool more, fetch(1));
    return Field(!more);
  }
  if (name == "length" || name == "revindex" || name == "revindex0") {
    DCC_ASSIGN(const int64_t all, length());
    return Field(name == "length" ? all : all - index_ - (name == "revindex0" ? 1 : 0));
  }
  if (name == "previtem") {
    return Field(index_ > 0 ? items_[static_cast<size_t>(index_ - 1)]
                            : Value::undefined("there is no previous item"));
  }
  if (name == "nextitem") {
    DCC_ASSIGN(const bool more, fetch(1));
    return Field(more ? items_[static_cast<size_t>(index_ + 1)]
                      : Value::undefined("there is no next item"));
  }
  if (name == "cycle" || name == "changed") {
    return Field(run.callable(std::make_shared<LoopMethod>(shared_from_this(), name == "cycle")));
  }
  return Field();
}

Result<Value> Loop::call(Run& run, const Arguments& arguments) const {
  if (!recursion_) {
    return userError("the loop must have the 'recursive' marker to be called recursively");
  }
  if (arguments.positional.size() != 1 || !arguments.named.empty()) {
    return userError("loop() takes what to go over, and nothing else");
  }
  DCC_RETURN_IF_ERROR(run.step());
  return recursion_(arguments.positional[0], level_ + 1);
}

bool Loop::changed(Run& run, std::vector<Value> values) {
  const bool same = last_changed_ && last_changed_->size() == values.size() &&
                    std::equal(values.begin(), values.end(), last_changed_->begin(),
                               [&](const Value& a, const Value& b) { return equal(run, a, b); });
  if (!same) last_changed_ = std::move(values);
  return !same;
}

}  // namespace dcc::jinja
