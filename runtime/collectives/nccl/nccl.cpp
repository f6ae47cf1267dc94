#include "runtime/collectives/nccl/nccl.h"

#include <dlfcn.h>

#include <cstdlib>

namespace dcc::nccl {
namespace {

Error notIt(const std::string& what) {
  return userError("NCCL: " + what + "; version " + versionText(kOldest) + " or later is right, " +
                   kLibraryVariable + " names another library");
}

template <class Function>
Status find(void* library, const std::string& path, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(::dlsym(library, name));
  if (function != nullptr) return Status::success();
  return notIt(path + " has no " + name);
}

}  // namespace

std::string versionText(int version) {
  // Before 2.9 there was a digit less.
  const int major = version < 10000 ? 1000 : 10000;
  return std::to_string(version / major) + "." + std::to_string(version % major / 100) + "." +
         std::to_string(version % 100);
}

Result<Api> open() {
  const char* named = std::getenv(kLibraryVariable);
#ifdef DCC_CUDA_EMULATION
  // A real one would look for a GPU, and take seconds to find none.
  if (named == nullptr || *named == 0) return notIt("none is named for emulated GPUs");
#endif
  const std::string path = named != nullptr && *named != 0 ? named : "libnccl.so.2";
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = ::dlerror();
    return notIt(why != nullptr ? why : path);
  }
  Code (*get_version)(int*) = nullptr;
  DCC_RETURN_IF_ERROR(find(library, path, "ncclGetVersion", get_version));
  Api api;
  if (get_version(&api.version) != kSuccess) {
    return notIt(path + " does not tell its version");
  }
  if (api.version < kOldest) {
    return notIt(path + " is version " + versionText(api.version));
  }
  DCC_RETURN_IF_ERROR(find(library, path, "ncclGetUniqueId", api.getUniqueId));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclCommInitRankConfig", api.commInitRankConfig));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclCommFinalize", api.commFinalize));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclCommDestroy", api.commDestroy));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclCommAbort", api.commAbort));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclCommGetAsyncError", api.commGetAsyncError));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclGetErrorString", api.getErrorString));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclGetLastError", api.getLastError));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclGroupStart", api.groupStart));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclGroupEnd", api.groupEnd));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclAllReduce", api.allReduce));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclAllGather", api.allGather));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclReduceScatter", api.reduceScatter));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclBroadcast", api.broadcast));
  DCC_RETURN_IF_ERROR(find(library, path, "ncclReduce", api.reduce));
  return api;
}

}  // namespace dcc::nccl
