// plan_mutations COUNT SEED OUT DIR...: changes the collectives of one rank of compiled plans,
// COUNT times, with all hashes made anew, and has verifyDirectory() judge each, as `dcc verify`
// does. A change that leaves the rank's sequence of collectives as it was is drawn again. Exit
// status 1 where one was accepted, or an unchanged plan refused. OUT/<kind> keeps the last
// directory of every kind.
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "runtime/base/file.h"
#include "runtime/plan/access.h"
#include "runtime/plan/directory.h"
#include "tests/models/mutations/mutate.h"
#include "tests/models/mutations/sequence.h"

namespace dcc::mutations {
namespace {

namespace fs = std::filesystem;
namespace fb = plan::fb;
using Json = nlohmann::ordered_json;

// A plan directory to change.
struct Base {
  std::string dir;
  Json manifest;
  std::vector<plan::Plan> plans;
};

Result<Base> open(const std::string& dir) {
  DCC_RETURN_IF_ERROR(plan::verifyDirectory(dir));
  DCC_ASSIGN(const plan::Manifest manifest, plan::readManifest(dir));
  DCC_ASSIGN(const std::string text, readFile(dir + "/manifest.json", 64 << 20));
  Base base{dir, Json::parse(text), {}};
  base.manifest["files"] = Json::array();
  for (uint32_t rank = 0; rank < manifest.ranks.size(); ++rank) {
    DCC_ASSIGN(plan::Plan plan, plan::loadRank(dir, manifest, rank));
    base.plans.push_back(std::move(plan));
  }
  return base;
}

std::vector<fb::PlanT> unpacked(const Base& base) {
  std::vector<fb::PlanT> plans(base.plans.size());
  for (size_t i = 0; i < plans.size(); ++i) base.plans[i]->UnPackTo(&plans[i]);
  return plans;
}

// Along an axis of one rank a collective moves nothing and waits for nobody.
void addAxisOfOne(std::vector<fb::PlanT>& plans, Json& manifest) {
  for (fb::PlanT& plan : plans) {
    plan.mesh.push_back(std::make_unique<fb::AxisT>());
    plan.mesh.back()->name = "alone";
    plan.mesh.back()->size = 1;
  }
  manifest["mesh"].push_back({{"name", "alone"}, {"size", 1}});
}

// With all hashes as they should be.
Status write(std::vector<fb::PlanT>& plans, Json manifest, const std::string& dir) {
  fs::create_directories(dir);
  const std::vector<std::vector<uint8_t>> packed = plan::packAll(plans);
  for (size_t rank = 0; rank < packed.size(); ++rank) {
    manifest["ranks"][rank]["program_hash"] = plan::hashOf(*plans[rank].program_hash).hex();
    const std::string path = dir + "/rank_" + std::to_string(rank) + ".dplan";
    DCC_RETURN_IF_ERROR(
        writeFile(path, {reinterpret_cast<const char*>(packed[rank].data()), packed[rank].size()}));
  }
  manifest["compilation_id"] = plan::hashOf(*plans[0].compilation_id).hex();
  return writeFile(dir + "/manifest.json", manifest.dump(2));
}

struct Count {
  uint32_t drawn = 0;  // with those drawn again
  uint32_t alone = 0;  // refused for what one plan says
  uint32_t side_by_side = 0;
};

class Run {
 public:
  Run(std::string out, uint64_t seed) : out_(std::move(out)), random_(seed) {}

  // Whether the plans are accepted as they are.
  bool accepts(const Base& base) {
    for (const bool second_axis : {false, true}) {
      std::vector<fb::PlanT> plans = unpacked(base);
      Json manifest = base.manifest;
      if (second_axis) addAxisOfOne(plans, manifest);
      const std::string dir = out_ + "/unchanged";
      Status status = write(plans, manifest, dir);
      if (status.ok()) status = plan::verifyDirectory(dir);
      if (status.ok()) continue;
      std::printf("refused though unchanged: %s: %s\n", base.dir.c_str(),
                  status.error().message.c_str());
      return false;
    }
    return true;
  }

  // Whether a mutation that changes the sequence is refused.
  bool refuses(const Base& base, Kind kind) {
    std::vector<fb::PlanT> plans = unpacked(base);
    Json manifest = base.manifest;
    if (random_() % 2 == 0) addAxisOfOne(plans, manifest);
    const uint32_t rank = static_cast<uint32_t>(random_() % plans.size());
    const std::string before = sequenceOf(plans[rank]);
    mutate(plans[rank], kind, random_);
    Count& count = counts_[kind];
    ++count.drawn;
    if (sequenceOf(plans[rank]) == before) return refuses(base, kind);

    const std::string dir = out_ + "/" + std::string(nameOf(kind));
    const std::string file = dir + "/rank_" + std::to_string(rank) + ".dplan";
    if (Status status = write(plans, manifest, dir); !status.ok()) return false;
    const Status judged = plan::verifyDirectory(dir);
    if (judged.ok()) {
      std::printf("accepted: %s of rank %u of %s, kept in %s\nbefore\n%safter\n%s",
                  std::string(nameOf(kind)).c_str(), rank, base.dir.c_str(), dir.c_str(),
                  before.c_str(), sequenceOf(plans[rank]).c_str());
      return false;
    }
    ++(plan::Plan::load(file).ok() ? count.side_by_side : count.alone);
    return true;
  }

  void print() const {
    std::printf("%-10s %8s %8s %8s %8s\n", "kind", "drawn", "refused", "alone", "together");
    for (const auto& [kind, count] : counts_) {
      std::printf("%-10s %8u %8u %8u %8u\n", std::string(nameOf(kind)).c_str(), count.drawn,
                  count.alone + count.side_by_side, count.alone, count.side_by_side);
    }
  }

 private:
  std::string out_;
  Random random_;
  std::map<Kind, Count> counts_;
};

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  std::vector<Base> bases;
  for (int i = 4; i < argc; ++i) {
    Result<Base> base = open(argv[i]);
    if (!base.ok()) {
      std::printf("%s\n", base.error().message.c_str());
      return 1;
    }
    bases.push_back(std::move(base).value());
  }
  Run run(argv[3], std::stoull(argv[2]));
  for (const Base& base : bases) {
    if (!run.accepts(base)) return 1;
  }
  for (int i = 0; i < std::stoi(argv[1]); ++i) {
    const Base& base = bases[i / kKinds.size() % bases.size()];
    if (!run.refuses(base, kKinds[i % kKinds.size()])) return 1;
  }
  run.print();
  return 0;
}

}  // namespace
}  // namespace dcc::mutations

int main(int argc, char** argv) { return dcc::mutations::main(argc, argv); }
