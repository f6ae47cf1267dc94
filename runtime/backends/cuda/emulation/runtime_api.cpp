#include "runtime/backends/cuda/emulation/runtime_api.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/backends/cuda/emulation/stream.h"

using Work = std::vector<std::function<void()>>;

struct CUstream_st {
  bool capturing = false;
  Work work;
};
struct CUgraph_st {
  Work work;
};
struct CUgraphExec_st {
  Work work;
};
struct CUevent_st {
  std::chrono::steady_clock::time_point at;
  std::atomic<bool> pending = false;
};

namespace {

constexpr int kDevices = 8;
thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

cudaError_t said(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

// Device memory lies in files without a name, which other processes can open through /proc.
struct Allocation {
  size_t bytes;
  int file;
};
std::mutex mutex;
std::map<void*, Allocation>& allocations() {
  static std::map<void*, Allocation> map;
  return map;
}

struct IpcName {
  pid_t process;
  int file;
  size_t bytes;
};

cudaError_t mapFile(void** memory, int file, size_t bytes) {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) return cudaErrorMemoryAllocation;
  const std::lock_guard lock(mutex);
  allocations()[at] = {bytes, file};
  *memory = at;
  return cudaSuccess;
}

// No bytes may be nowhere.
void move(void* to, const void* from, size_t bytes) {
  if (bytes > 0) std::memmove(to, from, bytes);
}

cudaError_t unmap(void* memory) {
  const std::lock_guard lock(mutex);
  const auto found = allocations().find(memory);
  if (found == allocations().end()) return cudaErrorInvalidValue;
  ::munmap(memory, found->second.bytes);
  ::close(found->second.file);
  allocations().erase(found);
  return cudaSuccess;
}

}  // namespace

namespace dcc::cuda::emulation {

void enqueue(CUstream_st* stream, std::function<void()> work) {
  if (stream != nullptr && stream->capturing) {
    stream->work.push_back(std::move(work));
  } else {
    work();
  }
}

void setPending(CUevent_st* event, bool pending) { event->pending = pending; }

}  // namespace dcc::cuda::emulation

using dcc::cuda::emulation::enqueue;

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorNoDevice:
      return "cudaErrorNoDevice";
    case cudaErrorNotReady:
      return "cudaErrorNotReady";
    default:
      return "cudaErrorInvalidValue";
  }
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaGetDeviceCount(int* count) {
  *count = kDevices;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= kDevices) return said(cudaErrorInvalidValue);
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* id, int bytes, int device) {
  const int length = std::snprintf(id, bytes, "0000:%02x:00.0", device);
  return length < bytes ? cudaSuccess : said(cudaErrorInvalidValue);
}
cudaError_t cudaDeviceCanAccessPeer(int* reaches, int device, int peer) {
  *reaches = device != peer;
  return cudaSuccess;
}
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned) {
  return peer == current_device ? said(cudaErrorInvalidValue) : cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  // As an H100 says, but of few processors: a test's grids stay small.
  *value = attribute == cudaDevAttrMultiProcessorCount      ? 8
           : attribute == cudaDevAttrComputeCapabilityMajor ? 9
           : attribute == cudaDevAttrComputeCapabilityMinor ? 0
                                                            : -1;
  return *value < 0 ? said(cudaErrorInvalidValue) : cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::strcpy(properties->name, "emulated");
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = *total = size_t{8} << 30;
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** memory, size_t bytes) {
  bytes = bytes == 0 ? 1 : bytes;
  const int file = ::memfd_create("dcc-device-memory", MFD_CLOEXEC);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(bytes)) != 0) {
    return said(cudaErrorMemoryAllocation);
  }
  if (mapFile(memory, file, bytes) != cudaSuccess) {
    ::close(file);
    return said(cudaErrorMemoryAllocation);
  }
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) { return memory == nullptr ? cudaSuccess : said(unmap(memory)); }
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  return *memory == nullptr && bytes > 0 ? said(cudaErrorMemoryAllocation) : cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  *device = host;
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind) {
  move(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  enqueue(stream, [=] { move(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch,
                              size_t width, size_t height, cudaMemcpyKind, cudaStream_t stream) {
  if (width > to_pitch || width > from_pitch) return said(cudaErrorInvalidValue);
  enqueue(stream, [=] {
    for (size_t row = 0; row < height; ++row) {
      std::memmove(static_cast<char*>(to) + row * to_pitch,
                   static_cast<const char*>(from) + row * from_pitch, width);
    }
  });
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, size_t bytes) {
  std::memset(memory, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  enqueue(stream, [=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return stream != nullptr && stream->capturing ? said(cudaErrorInvalidValue) : cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream == nullptr || stream->capturing) return said(cudaErrorInvalidValue);
  stream->capturing = true;
  stream->work.clear();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (stream == nullptr || !stream->capturing) return said(cudaErrorInvalidValue);
  stream->capturing = false;
  *graph = new CUgraph_st{std::move(stream->work)};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  for (const auto& work : exec->work) enqueue(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*function)(void*), void* data) {
  enqueue(stream, [=] { function(data); });
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  enqueue(stream, [=] { event->at = std::chrono::steady_clock::now(); });
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return event->pending ? cudaErrorNotReady : cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  *milliseconds = std::chrono::duration<float, std::milli>(to->at - from->at).count();
  return cudaSuccess;
}
cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t* handle, void* memory) {
  const std::lock_guard lock(mutex);
  const auto found = allocations().find(memory);
  if (found == allocations().end()) return said(cudaErrorInvalidValue);
  const IpcName name{::getpid(), found->second.file, found->second.bytes};
  std::memcpy(handle->reserved, &name, sizeof(name));
  return cudaSuccess;
}
cudaError_t cudaIpcOpenMemHandle(void** memory, cudaIpcMemHandle_t handle, unsigned) {
  IpcName name;
  std::memcpy(&name, handle.reserved, sizeof(name));
  const std::string path =
      "/proc/" + std::to_string(name.process) + "/fd/" + std::to_string(name.file);
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return said(cudaErrorInvalidValue);
  return said(mapFile(memory, file, name.bytes));
}
cudaError_t cudaIpcCloseMemHandle(void* memory) { return said(unmap(memory)); }
int nvtxRangePushA(const char* name) {
  static const bool listens = std::getenv("DCC_EMULATION_RANGES") != nullptr;
  if (listens) std::fprintf(stderr, "range: %s\n", name);
  return 0;
}
int nvtxRangePop() { return 0; }
