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
#include "runtime/plan/directory.h"
#include "tools/drun/doctor.h"
#include "tools/drun/options.h"
#include "tools/drun/rank_main.h"
#include "tools/drun/tokenize.h"

namespace {

using namespace dcc;
using namespace dcc::drun;

// The plans of a directory, which must be for as many ranks as there are.
Result<uint32_t> ranksOf(const Options& options, std::optional<uint32_t> given,
                         const std::string& by) {
  DCC_RETURN_IF_ERROR(plan::verifyDirectory(options.dir));
  DCC_ASSIGN(const plan::Manifest manifest, plan::readManifest(options.dir));
  const auto ranks = static_cast<uint32_t>(manifest.ranks.size());
  if (!given || *given == ranks) return ranks;
  return userError(by + " " + std::to_string(*given) + ": " + options.dir + " is compiled for " +
                   std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks") +
                   "; compile it again with --tp " + std::to_string(*given) + " or run it with " +
                   by + " " + std::to_string(ranks));
}

Status launchRanks(const Options& options, char** argv) {
  launch::LaunchOptions launch;
  DCC_ASSIGN(launch.ranks, ranksOf(options, options.nproc, "--nproc"));
  launch.argv = argv;
  launch.tcp = options.meet.transport == launch::Transport::kTcp;
  return launch::launch(launch);
}

// As one of the ranks that somebody else has started.
Status joinRanks(const Options& options, launch::Rank& rank) {
  if (options.nproc && *options.nproc != rank.worldSize()) {
    return userError("--nproc " + std::to_string(*options.nproc) + ": WORLD_SIZE is " +
                     std::to_string(rank.worldSize()) +
                     "; who starts the ranks decides how many there are, so leave --nproc out");
  }
  DCC_RETURN_IF_ERROR(ranksOf(options, rank.worldSize(), "WORLD_SIZE"));
  return rankMain(options, rank);
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
  const auto place = launch::Place::fromEnvironment();
  if (!place.ok()) return fail(place.error());
  if (!*place) return exitStatus(guarded([&] { return launchRanks(given, argv); }));
  const std::unique_ptr<launch::Rank> self = launch::Rank::joining(**place);
  return self->end(guarded([&] { return joinRanks(given, *self); }));
}
