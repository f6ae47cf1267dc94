// What a template can call: functions, methods of values, macros.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

class Run;

// f(1, 2, indent=4).
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

class Callable {
 public:
  virtual ~Callable() = default;
  virtual Result<Value> call(Run& run, Arguments arguments) const = 0;
  // As Value::depth(), of the values that it holds.
  virtual int depth() const { return 0; }
};

}  // namespace dcc::jinja
