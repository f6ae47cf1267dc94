// What this machine is, as far as it tells: a container may hide any of it, and nothing here fails.
// `root` replaces "/" in tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dcc::launch {

// The value of a field of /proc/cpuinfo ("model name", "flags"), of the first CPU that has it; ""
// where there is none.
std::string cpuinfoField(std::string_view name, const std::string& root = "");

// "AMD EPYC 9534 64-Core Processor"; where the system has no name for it, the architecture's.
std::string cpuModel(const std::string& root = "");

// Bytes of all caches of the last level together.
std::optional<uint64_t> lastLevelCacheBytes(const std::string& root = "");

// What messages call this machine where there are several; "a nameless host" where it has no name.
std::string hostName();

// Bytes.
struct MemoryInfo {
  std::optional<uint64_t> total, available;
  std::optional<uint64_t> limit;  // the tightest of our cgroups
  std::optional<uint64_t> room;   // below the limits, beside what their cgroups use; what they hold
                                  // of files can be given up
};
MemoryInfo memoryInfo(const std::string& root = "");

}  // namespace dcc::launch
