// How fast a tokenizer is on one core: loading, encoding a text, decoding it; and what long runs of
// one character cost. Best of several runs.
//
//   tokenizer_bench tokenizer.json TEXT_FILE
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>

#include "runtime/base/file.h"
#include "runtime/text/tokenizer.h"

namespace dcc::text {
namespace {

double processorSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Seconds of the fastest of the calls that fit a second, at least three.
double best(const std::function<void()>& call) {
  double fastest = 1e30, total = 0;
  for (int i = 0; i < 3 || total < 1; ++i) {
    const double start = processorSeconds();
    call();
    const double seconds = processorSeconds() - start;
    fastest = std::min(fastest, seconds);
    total += seconds;
  }
  return fastest;
}

// Encoding must not fail here.
std::vector<int32_t> encode(const Tokenizer& tokenizer, std::string_view text) {
  auto ids = tokenizer.encode(text);
  if (ids.ok()) return std::move(ids).value();
  std::fprintf(stderr, "error: %s\n", ids.error().message.c_str());
  std::exit(static_cast<int>(ids.error().fault));
}

void report(const char* what, size_t bytes, size_t tokens, double seconds) {
  std::printf("%-28s %9.2f ms  %8.1f MB/s  %9.0f tokens/s\n", what, seconds * 1e3,
              static_cast<double>(bytes) / seconds / 1e6, static_cast<double>(tokens) / seconds);
}

int run(const std::string& json, const std::string& text_file) {
  const auto text = readFile(text_file, uint64_t{1} << 30);
  auto tokenizer = Tokenizer::fromFile(json);
  if (!text.ok() || !tokenizer.ok()) {
    const Error& error = text.ok() ? tokenizer.error() : text.error();
    std::fprintf(stderr, "error: %s\n", error.message.c_str());
    return static_cast<int>(error.fault);
  }
  std::printf("%s\n%-28s %9.2f ms\n", json.c_str(), "load",
              1e3 * best([&] { (void)Tokenizer::fromFile(json); }));
  const std::vector<int32_t> ids = encode(*tokenizer, *text);
  report("encode", text->size(), ids.size(), best([&] { encode(*tokenizer, *text); }));
  const std::string_view line = std::string_view(*text).substr(0, 200);
  const size_t line_tokens = encode(*tokenizer, line).size();
  report("encode 200 bytes", line.size(), line_tokens, best([&] { encode(*tokenizer, line); }));
  report("decode", text->size(), ids.size(), best([&] { tokenizer->decode(ids); }));
  for (const char c : {'a', ' ', '\n', '=', '1'}) {
    const std::string runs(100'000, c);
    char what[32];
    std::snprintf(what, sizeof what, "encode 100,000 x 0x%02x", static_cast<unsigned>(c));
    const size_t tokens = encode(*tokenizer, runs).size();
    report(what, runs.size(), tokens, best([&] { encode(*tokenizer, runs); }));
  }
  return 0;
}

}  // namespace
}  // namespace dcc::text

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: tokenizer_bench tokenizer.json TEXT_FILE\n");
    return 2;
  }
  return dcc::text::run(argv[1], argv[2]);
}
