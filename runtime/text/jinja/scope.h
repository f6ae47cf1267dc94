// Variables, by the blocks of the template that they belong to. A loop's body, a macro, a call, a
// filter block and the like have a scope of their own; what is set there is not seen outside.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

class Scope : public std::enable_shared_from_this<Scope> {
 public:
  explicit Scope(std::shared_ptr<const Scope> outer) : outer_(std::move(outer)) {}

  // Here or in the scopes around; null: nowhere.
  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);

  // The block is over. A macro that is still held somewhere can't be called any more, so that
  // macros and the scopes that hold them don't keep each other.
  void close();
  bool closed() const { return closed_; }

 private:
  std::shared_ptr<const Scope> outer_;
  std::map<std::string, Value, std::less<>> variables_;
  bool closed_ = false;
};

}  // namespace dcc::jinja
