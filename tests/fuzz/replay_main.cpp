// Runs a fuzzer's function once on every file of the given directories: its seeds, as a test in
// builds without libFuzzer.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  size_t runs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      auto text = dcc::readFile(entry.path().string(), 64 << 20);
      if (!text.ok()) {
        std::fprintf(stderr, "%s\n", text.error().message.c_str());
        return 1;
      }
      // A copy of exactly this size, so that a sanitizer sees a read past its end.
      std::vector<uint8_t> bytes(text->begin(), text->end());
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      ++runs;
    }
  }
  std::printf("%zu seeds\n", runs);
  return runs > 0 ? 0 : 1;
}
