// `dcc explain`: what a plan directory costs and why.
#pragma once

#include <string>

#include "runtime/base/status.h"

namespace dcc {

// The text to print: memory per rank; the rules that cut weights, with what a rank holds of them;
// per entry its collectives, why each is there, and the bytes a rank puts into them per token.
Result<std::string> explain(const std::string& directory);

}  // namespace dcc
