#include "runtime/text/jinja/run.h"

#include <algorithm>

namespace dcc::jinja {
namespace {

// Bytes that are copied in the time of a step.
constexpr uint64_t kBytesPerStep = 32;
// Of a namespace and each of its fields.
constexpr uint64_t kNamespaceBytes = 256;

std::string mebibytes(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

Value Run::string(std::string bytes, bool safe) {
  spend(bytes.size() / kBytesPerStep);
  return std::make_shared<const StringObject>(std::move(bytes), safe, &bytes_);
}

Value Run::sequence(SequenceKind kind, std::vector<Value> items) {
  spend(items.size());
  Value value(std::make_shared<const SequenceObject>(kind, std::move(items), &bytes_));
  if (value.depth() > kDeepestValue) exceed("nests values too deep");
  return value;
}

Value Run::generator(std::vector<Value> items) {
  spend(items.size());
  Value value(std::make_shared<GeneratorObject>(std::move(items), &bytes_));
  if (value.depth() > kDeepestValue) exceed("nests values too deep");
  return value;
}

Value Run::dict(Dict dict) {
  spend(dict.size());
  Value value(std::make_shared<const DictObject>(std::move(dict), &bytes_));
  if (value.depth() > kDeepestValue) exceed("nests values too deep");
  return value;
}

Value Run::nameSpace(Dict fields) {
  bytes_ += kNamespaceBytes * (1 + fields.size());  // they live as long as the run
  namespaces_.push_back(std::make_unique<Namespace>());
  namespaces_.back()->fields = std::move(fields);
  return namespaces_.back().get();
}

Value Run::callable(std::shared_ptr<const Callable> callable) {
  Value value(std::move(callable));
  if (value.depth() > kDeepestValue) exceed("nests values too deep");
  return value;
}

bool Run::spend(uint64_t steps) {
  steps_ += std::min(steps, limits_.steps + 1);
  if (steps_ > limits_.steps) {
    exceed("takes more than " + std::to_string(limits_.steps) + " steps");
  } else if (bytes_ > limits_.bytes) {
    exceed("takes more than " + mebibytes(limits_.bytes) + " of memory");
  }
  return exceeded_.empty();
}

Status Run::step() {
  if (spend(1)) return Status::success();
  return fail(FailureKind::kLimit, exceeded_);
}

bool Run::room(uint64_t bytes) {
  if (bytes <= freeBytes()) return spend(bytes / kBytesPerStep);
  exceed("takes more than " + mebibytes(limits_.bytes) + " of memory");
  return false;
}

void Run::exceed(std::string what) {
  if (exceeded_.empty()) exceeded_ = std::move(what);
}

Error Run::unsupported(std::string what) {
  return fail(FailureKind::kUnsupported, std::move(what));
}

Error Run::raised(std::string words) { return fail(FailureKind::kRaised, std::move(words)); }

Error Run::fail(FailureKind kind, std::string message) {
  failure_ = {kind, std::move(message), 0};
  return userError(failure_.message);
}

void Run::failedAt(uint32_t line, const Error& error) {
  if (failure_.line != 0) return;
  failure_.line = line;
  failure_.message = error.message;
  if (exceeded_.empty()) return;
  // Whatever went wrong then did so because something was cut short.
  failure_.kind = FailureKind::kLimit;
  failure_.message = exceeded_;
}

bool TextBuilder::add(std::string_view text) {
  if (text.size() > most_ - text_.size()) {
    run_.exceed("makes a text of more than " + mebibytes(most_));
    return false;
  }
  text_ += text;
  return run_.spend(1 + text.size() / kBytesPerStep);
}

bool TextBuilder::repeat(std::string_view text, uint64_t times) {
  if (text.empty() || times == 0) return true;
  if (times > (most_ - text_.size()) / text.size()) {
    run_.exceed("makes a text of more than " + mebibytes(most_));
    return false;
  }
  text_.reserve(text_.size() + text.size() * times);
  for (uint64_t i = 0; i < times; ++i) text_ += text;
  return run_.spend(1 + text.size() * times / kBytesPerStep);
}

}  // namespace dcc::jinja
