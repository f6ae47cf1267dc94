#include "tools/drun/nvidia.h"

#include <dlfcn.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace dcc::drun {
namespace {

namespace fs = std::filesystem;

std::string dotted(std::initializer_list<long> numbers) {
  std::string text;
  for (const long n : numbers) text += (text.empty() ? "" : ".") + std::to_string(n);
  return text;
}

// cuDriverGetVersion, ncclGetVersion: both are int f(int* version), 0 when they succeed.
using GetVersion = int (*)(int*);

std::optional<std::string> cudaVersion(void* symbol) {
  int v = 0;
  if (reinterpret_cast<GetVersion>(symbol)(&v) != 0) return std::nullopt;
  return "CUDA " + dotted({v / 1000, v % 1000 / 10});
}

std::optional<std::string> ncclVersion(void* symbol) {
  int v = 0;
  if (reinterpret_cast<GetVersion>(symbol)(&v) != 0) return std::nullopt;
  // 2.8 and before had a digit for each.
  return v < 10000 ? dotted({v / 1000, v % 1000 / 100, v % 100})
                   : dotted({v / 10000, v % 10000 / 100, v % 100});
}

std::optional<std::string> cublasVersion(void* symbol) {
  const auto v = static_cast<long>(reinterpret_cast<size_t (*)()>(symbol)());
  return v < 100000 ? dotted({v / 1000, v % 1000 / 100, v % 100})
                    : dotted({v / 10000, v % 10000 / 100, v % 100});
}

struct Known {
  std::vector<const char*> files;  // the first that is there
  const char* symbol;
  std::optional<std::string> (*version)(void* symbol);
};

SharedLibrary find(const Known& known) {
  SharedLibrary library{known.files.front(), std::nullopt, ""};
  for (const char* file : known.files) {
    ::dlerror();
    // Never closed: what such a library starts does not end with it.
    void* handle = ::dlopen(file, RTLD_LAZY | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* said = ::dlerror();
      const std::string why = said == nullptr ? "" : said;
      // Absence is no problem; of a file that is there, or one that it needs, it is told.
      if (why.rfind(std::string(file) + ": cannot open shared object file: No such file", 0) != 0 &&
          library.problem.empty()) {
        library.name = file;
        library.problem = why;
      }
      continue;
    }
    void* symbol = ::dlsym(handle, known.symbol);
    return {file, (symbol ? known.version(symbol) : std::nullopt).value_or("unknown"), ""};
  }
  return library;
}

}  // namespace

std::vector<std::string> nvidiaDevices(const std::string& root) {
  std::vector<std::string> names;
  // The driver lists its devices by PCI address.
  std::error_code ignored;
  fs::directory_iterator gpus(root + "/proc/driver/nvidia/gpus", ignored), end;
  std::vector<std::string> models;
  for (; !ignored && gpus != end; gpus.increment(ignored)) {
    std::ifstream information(gpus->path() / "information");
    for (std::string line; std::getline(information, line);) {
      if (line.rfind("Model:", 0) != 0) continue;
      const size_t name = line.find_first_not_of(" \t", 6);
      if (name != std::string::npos) models.push_back(line.substr(name));
    }
  }
  for (int i = 0; i < 1024; ++i) {
    if (!fs::exists(root + "/dev/nvidia" + std::to_string(i), ignored)) continue;
    // Which is which matters only where they differ, and then the address alone does not say.
    names.push_back(names.size() < models.size() ? models[names.size()] : "unknown");
  }
  return names;
}

std::optional<std::string> nvidiaDriver(const std::string& root) {
  std::ifstream in(root + "/proc/driver/nvidia/version");
  std::string line, word;
  if (!std::getline(in, line)) return std::nullopt;
  // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23 ..."
  for (std::istringstream words(line); words >> word;) {
    if (word.find_first_not_of("0123456789.") == std::string::npos) return word;
  }
  return "unknown";
}

std::vector<SharedLibrary> nvidiaLibraries() {
  std::vector<SharedLibrary> libraries;
  for (const Known& known :
       {Known{{"libcuda.so.1"}, "cuDriverGetVersion", cudaVersion},
        Known{{"libnccl.so.2"}, "ncclGetVersion", ncclVersion},
        Known{{"libcublasLt.so", "libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"},
              "cublasLtGetVersion",
              cublasVersion}}) {
    libraries.push_back(find(known));
  }
  return libraries;
}

}  // namespace dcc::drun
