// Slurm's short form of a list of hosts.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/status.h"

namespace dcc::launch {

// The first host of "a[01-03,7]-x,b": "a01-x". Several brackets in a name count like an odometer,
// so the first host has the first number of each. Source: scontrol(1), "show hostnames". Error
// (user), without a name in front: empty, brackets that don't match, no number where one must be,
// or a name of more than 253 characters, the longest of a host (RFC 1035).
Result<std::string> firstHost(std::string_view list);

}  // namespace dcc::launch
