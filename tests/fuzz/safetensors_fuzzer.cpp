// A safetensors header that is accepted holds what its declaration promises.
#include <cstdint>
#include <cstdlib>

#include "runtime/base/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dcc::Result<dcc::SafetensorsHeader> header =
      dcc::parseSafetensorsHeader({data, size}, size, "fuzz.safetensors");
  if (!header.ok()) {
    if (header.error().message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  uint64_t bytes = 0;
  for (const dcc::SafetensorsTensor& tensor : header->tensors) {
    if (tensor.offset < header->header_bytes || tensor.offset > size) std::abort();
    if (tensor.bytes > size - tensor.offset) std::abort();
    if (header->find(tensor.name) != &tensor) std::abort();
    bytes += tensor.bytes;
  }
  if (header->header_bytes + bytes != size) std::abort();
  return 0;
}
