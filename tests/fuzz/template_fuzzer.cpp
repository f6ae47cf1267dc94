// A chat template gives a text, a refusal or a one-line error, within its limits. The input is a
// template; what it can read is always the same.
#include <cstdlib>

#include "runtime/text/jinja/template.h"
#include "runtime/text/utf8.h"

namespace {

using nlohmann::ordered_json;

const dcc::jinja::Variables& variables() {
  static const dcc::jinja::Variables all = {
      {"messages", ordered_json::parse(R"([
          {"role": "system", "content": "Be brief."},
          {"role": "user", "content": [{"type": "text", "text": "h\u00e9llo \ud83d\ude00"}]},
          {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function":
            {"name": "f", "arguments": {"x": [1, 2.5, true, null]}}}]}])")},
      {"tools",
       ordered_json::parse(R"([{"function": {"name": "f", "parameters": {"b": 1, "a": 2}}}])")},
      {"text", "some Words, <b>'s\n\tmore"},
      {"number", 7},
      {"bos_token", "<s>"},
      {"add_generation_prompt", true}};
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto parsed = dcc::jinja::Template::parse(source, "fuzz");
  const dcc::Error* error = parsed.ok() ? nullptr : &parsed.error();
  const dcc::jinja::Limits limits{.steps = 100'000, .bytes = 8 << 20, .output = 1 << 20};
  std::tm now{};
  now.tm_mday = 1;
  if (parsed.ok()) {
    const auto rendering = parsed->render(variables(), now, limits);
    if (rendering.ok() && rendering->text.size() > limits.output) std::abort();
    // What comes in as UTF-8 goes out as UTF-8.
    if (rendering.ok() && !dcc::text::isValidUtf8(rendering->text)) std::abort();
    if (!rendering.ok() && rendering.error().message.find('\n') != std::string::npos) std::abort();
  }
  if (error != nullptr && error->message.find('\n') != std::string::npos) std::abort();
  return 0;
}
