// The prompts of a command line.
#pragma once

#include <string>
#include <vector>

#include "tools/drun/options.h"
#include "tools/drun/plan_files.h"
#include "tools/drun/prompts.h"
#include "tools/drun/stdio.h"

namespace dcc::drun {

// All of --input: a file, a pipe or "-" for stdin.
struct InputText {
  std::string text;
  std::string name;  // for messages
};
Result<InputText> readInputText(const std::string& path, const Waiting& waiting);

// Its lines as prompts.
Result<std::vector<Prompt>> readInput(const std::string& path, const Waiting& waiting);

// --prompt, --input or, where neither is given, standard input line by line; when that is empty the
// model's own prompt or begin-of-sequence. All in tokens. On a terminal that has to be asked:
// nothing.
Result<std::vector<Prompt>> gatherPrompts(const Options& options, const PlanFiles& files,
                                          const Waiting& waiting);

// Fills `ids` of texts; one that has none at all becomes begin-of-sequence.
Status toTokens(std::vector<Prompt>& prompts, const PlanFiles& files, const Waiting& waiting = {});

}  // namespace dcc::drun
