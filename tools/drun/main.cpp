// drun: checks the command line and the plan directory, then runs itself once per rank and waits;
// or is a rank, when somebody else has started it as one.
#include <iostream>
#include <memory>
#include <optional>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/base/program.h"
#include "runtime/base/progress.h"
#include "runtime/launch/launcher.h"
#include "runtime/launch/rank.h"
#include "tools/drun/doctor.h"
#include "tools/drun/options.h"
#include "tools/drun/rank_main.h"
#include "tools/drun/tokenize.h"
#include "tools/drun/world.h"

namespace {

using namespace dcc;
using namespace dcc::drun;

Status launchRanks(const Options& options, char** argv) {
  DCC_ASSIGN(launch::LaunchOptions launch, ranksToLaunch(options));
  launch.argv = argv;
  return launch::launch(launch);
}

int fail(const Error& error) {
  // A rank that was killed may have left a line of progress.
  std::cerr << std::string(eraseProgress()) + "error: " + error.message + "\n";
  return static_cast<int>(error.fault);
}

int exitStatus(const Status& status) { return status.ok() ? 0 : fail(status.error()); }

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
    return self.end(options.ok() ? guarded([&] { return rankMain(**options, self); })
                                 : Status(options.error()));
  }
  if (!options.ok()) return fail(options.error());
  if (!options->has_value()) return exitStatus(flushStdout());
  const Options& given = **options;
  if (given.command == Command::kTokenize) {
    return exitStatus(guarded([&] { return tokenize(given); }));
  }
  if (given.command == Command::kDoctor) return exitStatus(guarded([&] { return doctor(given); }));
  if (!forced.ok()) return fail(forced.error());
  // --nnodes asks for ranks of our own, also where somebody else has started this process.
  const auto place =
      given.nodes.count ? std::optional<launch::Place>() : launch::Place::fromEnvironment();
  if (!place.ok()) return fail(place.error());
  if (!*place) return exitStatus(guarded([&] { return launchRanks(given, argv); }));
  std::unique_ptr<launch::Rank> self;
  const Status done = guarded([&]() -> Status {
    DCC_ASSIGN(const launch::Place own, placeInWorld(given, **place));
    self = launch::Rank::joining(own);
    return rankMain(given, *self);
  });
  return self ? self->end(done) : exitStatus(done);
}
