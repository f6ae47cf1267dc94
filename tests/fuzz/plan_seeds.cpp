// Writes the unit tests' example plans into a directory: seeds that never lag behind the schema.
#include <cstdio>
#include <filesystem>

#include "runtime/base/file.h"
#include "runtime/plan/plan.h"
#include "tests/unit/plan/example_plan.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::filesystem::create_directories(argv[1]);
  for (uint32_t ranks : {1u, 2u, 4u}) {
    std::vector<dcc::plan::fb::PlanT> plans = dcc::plan::testing::examplePlans({.ranks = ranks});
    std::vector<uint8_t> bytes = dcc::plan::packAll(plans).front();
    std::string path = std::string(argv[1]) + "/tp" + std::to_string(ranks) + ".dplan";
    dcc::Status written =
        dcc::writeFile(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (!written.ok()) {
      std::fprintf(stderr, "%s\n", written.error().message.c_str());
      return 1;
    }
  }
  return 0;
}
