#include "runtime/launch/cgroup.h"

#include <fstream>
#include <sstream>

namespace dcc::launch {
namespace {

bool contains(const std::string& list, const std::string& word) {
  std::istringstream in(list);
  for (std::string item; std::getline(in, item, ',');) {
    if (item == word) return true;
  }
  return false;
}

}  // namespace

std::vector<CgroupDirectory> cgroupDirectories(const std::string& controller,
                                               const std::string& root) {
  std::vector<CgroupDirectory> directories;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "ID:controllers:/path"
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    const bool v2 = controllers.empty();
    if (!v2 && !contains(controllers, controller)) continue;
    const std::string mount = root + "/sys/fs/cgroup" + (v2 ? "" : "/" + controllers);
    for (;;) {
      if (path == "/") path.clear();
      directories.push_back({mount + path, v2});
      if (path.empty()) break;
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
  }
  return directories;
}

}  // namespace dcc::launch
