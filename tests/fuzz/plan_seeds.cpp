// Writes the unit tests' example plans into a directory: seeds that never lag behind the schema.
#include <cstdio>
#include <filesystem>

#include "runtime/base/file.h"
#include "runtime/plan/plan.h"
#include "tests/unit/plan/example_plan.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::filesystem::create_directories(argv[1]);
  const std::pair<std::string, dcc::plan::testing::ExampleOptions> examples[] = {
      {"tp1", {.ranks = 1}}, {"tp2", {.ranks = 2}}, {"tp4", {.ranks = 4}}, {"random", {.seed = 7}}};
  for (const auto& [name, options] : examples) {
    std::vector<dcc::plan::fb::PlanT> plans = dcc::plan::testing::examplePlans(options);
    std::vector<uint8_t> bytes = dcc::plan::packAll(plans).front();
    std::string path = std::string(argv[1]) + "/" + name + ".dplan";
    dcc::Status written =
        dcc::writeFile(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (!written.ok()) {
      std::fprintf(stderr, "%s\n", written.error().message.c_str());
      return 1;
    }
  }
  return 0;
}
