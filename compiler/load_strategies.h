// `dcc --load-strategies LIB`.
#pragma once

#include <string>

#include "runtime/base/status.h"

namespace dcc {

// Opens a library of strategies (include/dcc/strategy.h) and makes them known to `annotate`, for
// as long as the process lives. Errors (user): no library, none of ours, of another version, a name
// that is taken.
Status loadStrategies(const std::string& path);

}  // namespace dcc
