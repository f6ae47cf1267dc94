// A tuning file: what is accepted prints and is read again as the same.
#include <cstdint>
#include <cstdlib>

#include "runtime/backends/cuda/tuning.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using dcc::cuda::Tuning;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const dcc::Result<Tuning> tuning = dcc::cuda::parseTuning(text, "fuzz.json");
  if (!tuning.ok()) {
    if (tuning.error().message.find('\n') != std::string::npos) std::abort();
    return 0;
  }
  for (const std::string& note : tuning->notes) {
    if (note.find('\n') != std::string::npos) std::abort();
  }
  const dcc::Result<Tuning> again = dcc::cuda::parseTuning(tuningText(*tuning), "printed.json");
  if (!again.ok() || again->sets != tuning->sets || !again->notes.empty()) std::abort();
  return 0;
}
