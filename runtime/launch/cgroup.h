// Which cgroups limit this process.
#pragma once

#include <string>
#include <vector>

namespace dcc::launch {

struct CgroupDirectory {
  std::string path;
  bool v2;  // of the unified hierarchy, else of a controller's own
};

// Directories of our cgroup and of those above it, whose limits hold for us too, in the hierarchies
// that may have `controller` ("cpu", "memory"). They need not exist. `root` replaces "/" in tests.
std::vector<CgroupDirectory> cgroupDirectories(const std::string& controller,
                                               const std::string& root = "");

}  // namespace dcc::launch
