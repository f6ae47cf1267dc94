#include "runtime/launch/machine.h"

#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "runtime/base/printable.h"
#include "runtime/launch/cgroup.h"

namespace dcc::launch {
namespace {

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

// "name : value" lines of a file of /proc.
std::string fieldOf(const std::string& path, std::string_view name) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(':');
    if (colon != std::string::npos && trimmed(line.substr(0, colon)) == name) {
      return trimmed(std::string_view(line).substr(colon + 1));
    }
  }
  return "";
}

std::string wordOf(const std::string& path) {
  std::ifstream in(path);
  std::string word;
  in >> word;
  return word;
}

// Of "4-7,12-15" 4; 0 where there is none.
int leadingNumber(const std::string& text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// "24684084 kB", "32768K", "32M", "8589934592".
std::optional<uint64_t> bytesOf(const std::string& text) {
  std::istringstream in(text);
  uint64_t value = 0;
  if (!(in >> value)) return std::nullopt;  // "max" too
  char unit = 0;
  in >> unit;
  const int shift = unit == 'k' || unit == 'K' ? 10 : unit == 'M' ? 20 : 0;
  return value >> (64 - shift - 1) ? std::nullopt : std::optional(value << shift);
}

// "name value" lines of a cgroup's memory.stat.
uint64_t statOf(const std::string& path, std::string_view name) {
  std::ifstream in(path);
  std::string field;
  for (uint64_t value = 0; in >> field >> value;) {
    if (field == name) return value;
  }
  return 0;
}

}  // namespace

std::string cpuinfoField(std::string_view name, const std::string& root) {
  return fieldOf(root + "/proc/cpuinfo", name);
}

std::string cpuModel(const std::string& root) {
  for (const char* field : {"model name", "Model", "cpu model"}) {
    if (std::string name = cpuinfoField(field, root); !name.empty()) return name;
  }
  utsname system;
  return ::uname(&system) == 0 ? system.machine : "unknown";
}

std::optional<uint64_t> lastLevelCacheBytes(const std::string& root) {
  const std::string cpus = root + "/sys/devices/system/cpu/cpu";
  uint64_t bytes = 0;
  int level = 0;
  for (int cpu = 0;; ++cpu) {
    const std::string caches = cpus + std::to_string(cpu) + "/cache/index";
    if (wordOf(caches + "0/level").empty()) break;
    for (int i = 0;; ++i) {
      const std::string cache = caches + std::to_string(i);
      const std::string found = wordOf(cache + "/level");
      if (found.empty()) break;
      // Each cache is counted where its first CPU lists it: "4-7,12-15".
      const std::string shared = wordOf(cache + "/shared_cpu_list");
      const int own = leadingNumber(found);
      if (own < level || leadingNumber(shared) != cpu) continue;
      if (own > level) bytes = 0;
      level = own;
      bytes += bytesOf(wordOf(cache + "/size")).value_or(0);
    }
  }
  return bytes == 0 ? std::nullopt : std::optional(bytes);
}

std::string hostName() {
  utsname system;
  const bool named = ::uname(&system) == 0 && system.nodename[0] != '\0';
  return named ? printable(system.nodename) : "a nameless host";
}

MemoryInfo memoryInfo(const std::string& root) {
  MemoryInfo memory;
  memory.total = bytesOf(fieldOf(root + "/proc/meminfo", "MemTotal"));
  memory.available = bytesOf(fieldOf(root + "/proc/meminfo", "MemAvailable"));
  for (const auto& [path, v2] : cgroupDirectories("memory", root)) {
    const auto limit = bytesOf(wordOf(path + (v2 ? "/memory.max" : "/memory.limit_in_bytes")));
    // Version 1 says "none" by a number of about 2^63.
    if (!limit || *limit >> 60 != 0) continue;
    memory.limit = std::min(*limit, memory.limit.value_or(*limit));
    const auto used = bytesOf(wordOf(path + (v2 ? "/memory.current" : "/memory.usage_in_bytes")));
    const std::string stat = path + "/memory.stat";
    const uint64_t files = statOf(stat, "inactive_file") + statOf(stat, "active_file");
    const uint64_t kept = used.value_or(0) - std::min(used.value_or(0), files);
    const uint64_t room = *limit - std::min(*limit, kept);
    memory.room = std::min(room, memory.room.value_or(room));
  }
  return memory;
}

}  // namespace dcc::launch
