// NVIDIA devices and libraries of this machine, without needing any of them to be there.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace dcc::drun {

// One name for each /dev/nvidiaN, "unknown" where the driver tells none. `root` replaces "/" in
// tests.
std::vector<std::string> nvidiaDevices(const std::string& root = "");

// Of the kernel's driver: "570.86.15".
std::optional<std::string> nvidiaDriver(const std::string& root = "");

struct SharedLibrary {
  std::string name;                    // "libnccl.so.2"
  std::optional<std::string> version;  // of one that could be loaded; "unknown" if it doesn't tell
  std::string problem;                 // why one that is there could not
};
// The CUDA driver's, NCCL and cuBLASLt, as the dynamic linker finds them.
std::vector<SharedLibrary> nvidiaLibraries();

}  // namespace dcc::drun
