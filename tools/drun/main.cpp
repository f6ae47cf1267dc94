// drun: checks the command line and the plan directory, then runs itself once per rank and waits;
// or is a rank, when somebody else has started it as one.
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/base/program.h"
#include "runtime/base/progress.h"
#include "runtime/launch/launcher.h"
#include "runtime/launch/rank.h"
#include "runtime/launch/refusal.h"
#include "runtime/plan/describe.h"
#include "runtime/plan/directory.h"
#include "tools/drun/doctor.h"
#include "tools/drun/inject.h"
#include "tools/drun/options.h"
#include "tools/drun/rank_main.h"
#include "tools/drun/tokenize.h"
#include "tools/drun/world.h"

namespace {

using namespace dcc;
using namespace dcc::drun;

#ifdef DCC_WITH_CUDA
constexpr MakeCuda kMakeCuda = makeCudaBackend;
#else
constexpr MakeCuda kMakeCuda = nullptr;
#endif

// Ranks elsewhere that wait for this process, and as whom it has to tell them if it fails.
struct Awaited {
  launch::Contact contact;
  std::string name;
};

// For messages about ranks, by the plan of rank 0: the others' have the same instructions.
DescribeInstruction describeBy(const std::string& dir) {
  return [dir, plan = std::optional<plan::Plan>()](uint32_t entry,
                                                   uint32_t instruction) mutable -> std::string {
    if (!plan) {
      auto manifest = plan::readManifest(dir);
      auto loaded = manifest.ok() ? plan::loadRank(dir, *manifest, 0) : manifest.error();
      if (!loaded.ok()) {
        return "entry " + std::to_string(entry) + ", instruction " + std::to_string(instruction);
      }
      plan = std::move(loaded).value();
    }
    return plan::placeText(**plan, entry, instruction);
  };
}

Status launchRanks(const Options& options, char** argv, std::optional<Awaited>& awaited,
                   launch::Launched& launched) {
  DCC_ASSIGN(const launch::Nodes nodes, launch::resolveNodes(options.nodes));
  if (nodes.count > 1) {
    launch::Place place;
    place.rank = nodes.rank;
    place.store_host = nodes.address;
    place.store_port = nodes.port;
    awaited = {launch::contactOf(place, options.meet), "host " + std::to_string(nodes.rank)};
  }
  DCC_ASSIGN(launch::LaunchOptions launch, ranksToLaunch(options, nodes));
  DCC_RETURN_IF_ERROR(injectionFromEnvironment());
  launch.argv = argv;
  launch.timeout = options.timeout;
  launch.log_dir = options.log_dir;
  launch.describe = describeBy(options.dir);
  launched = launch::launch(launch);
  if (launched.started) awaited.reset();  // the ranks can tell
  return launched.status;
}

// As one of the ranks that somebody else has started.
Status joinRanks(const Options& options, const launch::Place& place,
                 std::unique_ptr<launch::Rank>& self, std::optional<Awaited>& awaited) {
  if (place.world_size != 1) {
    awaited = {launch::contactOf(place, options.meet), "rank " + std::to_string(place.rank)};
  }
  if (!options.log_dir.empty()) {
    return userError("--log-dir: for ranks that drun starts; who starts these has their output");
  }
  DCC_ASSIGN(const launch::Place own, placeInWorld(options, place));
  awaited.reset();
  self = launch::Rank::joining(own);
  return rankMain(options, *self, kMakeCuda);
}

int fail(const Error& error) {
  // A rank that was killed may have left a line of progress.
  std::cerr << std::string(eraseProgress()) + "error: " + error.message + "\n";
  return exitStatus(error);
}

int finish(const Status& status) { return status.ok() ? 0 : fail(status.error()); }

}  // namespace

int main(int argc, char** argv) {
  beginProgram();
  const auto rank = launch::Rank::launched();
  if (!rank.ok()) return fail(rank.error());
  const auto options = parseOptions(argc, argv);
  const Status forced = forceCpuInstructionSetFromEnvironment();
  if (*rank) {
    // What goes wrong here is the launcher's to say.
    launch::Rank& self = **rank;
    if (!forced.ok()) return self.end(forced);
    return self.end(options.ok() ? guarded([&] { return rankMain(**options, self, kMakeCuda); })
                                 : Status(options.error()));
  }
  if (!options.ok()) return fail(options.error());
  if (!options->has_value()) return finish(flushStdout());
  const Options& given = **options;
  if (given.command == Command::kTokenize) {
    return finish(guarded([&] { return tokenize(given); }));
  }
  if (given.command == Command::kDoctor) return finish(guarded([&] { return doctor(given); }));
  if (!forced.ok()) return fail(forced.error());
  // --nnodes asks for ranks of our own, also where somebody else has started this process.
  const auto place =
      given.nodes.count ? std::optional<launch::Place>() : launch::Place::fromEnvironment();
  if (!place.ok()) return fail(place.error());
  std::unique_ptr<launch::Rank> self;
  std::optional<Awaited> awaited;
  launch::Launched launched;
  const Status done = guarded([&] {
    return *place ? joinRanks(given, **place, self, awaited)
                  : launchRanks(given, argv, awaited, launched);
  });
  if (self) return self->end(done);
  finish(done);
  std::cerr << launched.details + launched.written;
  if (awaited) {
    launch::excuse(awaited->contact,
                   {awaited->name + ": " + done.error().message, done.error().fault});
  }
  return exitStatus(done, launched.signal);
}
