#include "runtime/backends/cuda/device_memory.h"

namespace dcc::cuda {
namespace {

std::string mebibytes(size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

Result<DeviceMemory> DeviceMemory::allocate(size_t bytes) {
  DeviceMemory memory;
  if (bytes == 0) return memory;
  void* data = nullptr;
  if (const cudaError_t error = cudaMalloc(&data, bytes); error != cudaSuccess) {
    size_t free = 0, total = 0;
    std::string room;
    if (cudaMemGetInfo(&free, &total) == cudaSuccess) {
      room = " (" + mebibytes(free) + " of the GPU's " + mebibytes(total) + " are free)";
    }
    return check(error, "taking " + mebibytes(bytes) + " of device memory" + room).error();
  }
  memory.data_ = static_cast<std::byte*>(data);
  memory.bytes_ = bytes;
  DCC_RETURN_IF_ERROR(check(cudaMemset(data, 0, bytes), "zeroing device memory"));
  // Our streams do not wait for the one that this is in.
  DCC_RETURN_IF_ERROR(check(cudaDeviceSynchronize(), "zeroing device memory"));
  return memory;
}

DeviceMemory::~DeviceMemory() {
  if (data_ != nullptr) cudaFree(data_);
}

Result<PinnedMemory> PinnedMemory::allocate(size_t bytes) {
  PinnedMemory memory;
  if (bytes == 0) return memory;
  void* data = nullptr;
  DCC_RETURN_IF_ERROR(check(cudaHostAlloc(&data, bytes, cudaHostAllocDefault),
                            "taking " + mebibytes(bytes) + " of pinned host memory"));
  memory.data_ = static_cast<std::byte*>(data);
  memory.bytes_ = bytes;
  return memory;
}

PinnedMemory::~PinnedMemory() {
  if (data_ != nullptr) cudaFreeHost(data_);
}

Result<Stream> Stream::create() {
  Stream stream;
  DCC_RETURN_IF_ERROR(
      check(cudaStreamCreateWithFlags(&stream.stream_, cudaStreamNonBlocking), "making a stream"));
  return stream;
}

Stream::~Stream() {
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
}

Result<Event> Event::create(unsigned flags) {
  Event event;
  DCC_RETURN_IF_ERROR(check(cudaEventCreateWithFlags(&event.event_, flags), "making an event"));
  return event;
}

Event::~Event() {
  if (event_ != nullptr) cudaEventDestroy(event_);
}

}  // namespace dcc::cuda
