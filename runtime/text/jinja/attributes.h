// a.b and a["b"], as Jinja's sandbox gives them.
#pragma once

#include <string_view>

#include "runtime/base/status.h"
#include "runtime/text/jinja/run.h"
#include "runtime/text/jinja/value.h"

namespace dcc::jinja {

// a.b: a method or field of that name, or else the item. What isn't there, and methods that would
// change a list or dict, are undefined. Error: of something undefined.
Result<Value> attribute(Run& run, const Value& object, std::string_view name);
// a[b]: the item, or else a method or field. Error as above.
Result<Value> item(Run& run, const Value& object, const Value& key);
// a[begin:end:step]; each may be none. Errors: of what has no order, bounds that are no integers, a
// step of 0.
Result<Value> slice(Run& run, const Value& object, const Value& begin, const Value& end,
                    const Value& step);
// Several of them, as filters take: "function.name", "0.id", or an int.
Result<Value> path(Run& run, Value object, const Value& path);

}  // namespace dcc::jinja
