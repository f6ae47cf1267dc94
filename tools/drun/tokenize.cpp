#include "tools/drun/tokenize.h"

#include <nlohmann/json.hpp>

#include "runtime/text/tokenizer.h"
#include "tools/drun/input.h"

namespace dcc::drun {

Status tokenize(const Options& options) {
  DCC_ASSIGN(const text::Tokenizer tokenizer,
             text::Tokenizer::fromFile(options.dir + "/tokenizer.json"));
  DCC_ASSIGN(const std::vector<Prompt> lines,
             readInput(options.input.empty() ? "-" : options.input, nullptr));
  Output output(nullptr);
  for (const Prompt& line : lines) {
    nlohmann::ordered_json result;
    if (options.decode) {
      if (line.text) return userError(line.where + ": {\"input_ids\": [...]} is expected");
      result["text"] = tokenizer.decode(line.ids, options.no_special_tokens);
    } else {
      if (!line.text) return userError(line.where + ": {\"text\": \"...\"} is expected");
      const auto ids = tokenizer.encode(*line.text, !options.no_special_tokens);
      if (!ids.ok()) return userError(line.where + ": " + ids.error().message);
      result["input_ids"] = *ids;
    }
    DCC_RETURN_IF_ERROR(output.write(result.dump() + "\n"));
  }
  return Status::success();
}

}  // namespace dcc::drun
