// NCCL as a library opened at run time, so that programs start where it is missing. The little of
// its interface that we use is declared here, with the names, values and layouts of NVIDIA's
// documentation (docs.nvidia.com/deeplearning/nccl/user-guide, "NCCL API") and nccl.h of 2.18,
// which later versions keep.
#pragma once

#include <climits>
#include <cstddef>
#include <string>

#include "runtime/backends/cuda/cuda.h"
#include "runtime/base/status.h"

namespace dcc::nccl {

using Comm = struct ncclComm*;

struct UniqueId {
  char internal[128];
};

enum Code : int {
  kSuccess = 0,
  kUnhandledCudaError = 1,
  kSystemError = 2,
  kInternalError = 3,
  kInvalidArgument = 4,
  kInvalidUsage = 5,
  kRemoteError = 6,
  kInProgress = 7,
};
enum DataType : int { kUint8 = 1, kFloat32 = 7 };
enum Operation : int { kSum = 0 };

// ncclConfig_t of 2.18; `size` and `version` tell later ones what they are given.
struct Config {
  static constexpr int kUndefined = INT_MIN;
  size_t size = sizeof(Config);
  unsigned magic = 0xcafebeef;
  unsigned version = 21800;
  int blocking = kUndefined;
  int cga_cluster_size = kUndefined;
  int min_ctas = kUndefined;
  int max_ctas = kUndefined;
  const char* net_name = nullptr;
  int split_share = kUndefined;
};

// The first version with all of this, as NCCL writes it: 10000 * major + 100 * minor + patch.
inline constexpr int kOldest = 21800;
// The first that takes several ranks of one GPU, where kSharedGpuVariable is 1.
inline constexpr int kSharedGpu = 23200;
inline constexpr const char* kSharedGpuVariable = "NCCL_MULTI_RANK_GPU_ENABLE";
// Names another library than what the system's search finds as libnccl.so.2.
inline constexpr const char* kLibraryVariable = "DCC_NCCL_LIBRARY";

struct Api {
  int version = 0;
  Code (*getUniqueId)(UniqueId* id) = nullptr;
  Code (*commInitRankConfig)(Comm* comm, int ranks, UniqueId id, int rank,
                             Config* config) = nullptr;
  Code (*commFinalize)(Comm comm) = nullptr;
  Code (*commDestroy)(Comm comm) = nullptr;
  Code (*commAbort)(Comm comm) = nullptr;
  Code (*commGetAsyncError)(Comm comm, Code* error) = nullptr;
  const char* (*getErrorString)(Code code) = nullptr;
  const char* (*getLastError)(Comm comm) = nullptr;
  Code (*groupStart)() = nullptr;
  Code (*groupEnd)() = nullptr;
  Code (*allReduce)(const void* in, void* out, size_t count, DataType type, Operation operation,
                    Comm comm, cudaStream_t stream) = nullptr;
  Code (*allGather)(const void* in, void* out, size_t count_per_rank, DataType type, Comm comm,
                    cudaStream_t stream) = nullptr;
  Code (*reduceScatter)(const void* in, void* out, size_t count_per_rank, DataType type,
                        Operation operation, Comm comm, cudaStream_t stream) = nullptr;
  Code (*broadcast)(const void* in, void* out, size_t count, DataType type, int root, Comm comm,
                    cudaStream_t stream) = nullptr;
  Code (*reduce)(const void* in, void* out, size_t count, DataType type, Operation operation,
                 int root, Comm comm, cudaStream_t stream) = nullptr;
};

// "2.28.9"
std::string versionText(int version);

// The library, which stays open from now on. Errors (user): it is not there, too old, or no NCCL.
Result<Api> open();

}  // namespace dcc::nccl
