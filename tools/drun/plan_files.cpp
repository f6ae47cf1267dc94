#include "tools/drun/plan_files.h"

#include <unistd.h>

#include "runtime/base/file.h"

namespace dcc::drun {
namespace {

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

Result<PlanFiles> readPlanFiles(const std::string& dir) {
  PlanFiles files;
  files.dir = dir;
  if (const std::string path = dir + "/tokenizer.json"; exists(path)) {
    DCC_ASSIGN(files.tokenizer, text::Tokenizer::fromFile(path));
  }
  DCC_ASSIGN(files.generation, generate::readGenerationConfig(dir));
  if (const std::string path = dir + "/prompt.txt"; exists(path)) {
    DCC_ASSIGN(files.prompt, readFile(path, size_t{1} << 20));
  }
  return files;
}

}  // namespace dcc::drun
