// drun: checks the command line and the plan directory, then runs itself once per rank and waits.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "runtime/launch/launcher.h"
#include "runtime/launch/rank.h"
#include "runtime/plan/directory.h"
#include "tools/drun/options.h"
#include "tools/drun/rank_main.h"
#include "tools/drun/tokenize.h"

namespace {

using namespace dcc;
using namespace dcc::drun;

// Another launcher's ranks would each start all of ours.
Status refuseOtherLaunchers() {
  for (const char* name : {"RANK", "WORLD_SIZE", "MASTER_ADDR"}) {
    if (std::getenv(name) == nullptr) return Status::success();
  }
  return userError(
      "RANK, WORLD_SIZE and MASTER_ADDR are set: joining another launcher's ranks is not built "
      "yet; "
      "unset them, and drun starts its own");
}

Status launchRanks(const Options& options, char** argv) {
  DCC_RETURN_IF_ERROR(refuseOtherLaunchers());
  DCC_RETURN_IF_ERROR(plan::verifyDirectory(options.dir));
  DCC_ASSIGN(const plan::Manifest manifest, plan::readManifest(options.dir));
  const auto ranks = static_cast<uint32_t>(manifest.ranks.size());
  if (options.nproc && *options.nproc != ranks) {
    return userError("--nproc " + std::to_string(*options.nproc) + ": " + options.dir +
                     " is compiled for " + std::to_string(ranks) +
                     (ranks == 1 ? " rank" : " ranks") + "; compile it again with --tp " +
                     std::to_string(*options.nproc) + " or run it with --nproc " +
                     std::to_string(ranks));
  }
  launch::LaunchOptions launch;
  launch.ranks = ranks;
  launch.argv = argv;
  return launch::launch(launch);
}

// Descriptors 0 to 2 that we were started without must not become files of ours.
void openStandardDescriptors() {
  for (;;) {
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd < 0 || fd > STDERR_FILENO) {
      if (fd >= 0) ::close(fd);
      return;
    }
  }
}

int fail(const Error& error) {
  std::cerr << "error: " + error.message + "\n";
  return static_cast<int>(error.fault);
}

}  // namespace

int main(int argc, char** argv) {
  openStandardDescriptors();
  const auto rank = launch::Rank::fromEnvironment();
  if (!rank.ok()) return fail(rank.error());
  const auto options = parseOptions(argc, argv);
  if (rank->has_value()) {
    // What goes wrong here is the launcher's to say.
    const launch::Rank& self = **rank;
    return self.end(options.ok() ? rankMain(**options, self) : Status(options.error()));
  }
  if (!options.ok()) return fail(options.error());
  if (!options->has_value()) return 0;
  const bool ranks = (*options)->command != Command::kTokenize;
  const Status status = ranks ? launchRanks(**options, argv) : tokenize(**options);
  return status.ok() ? 0 : fail(status.error());
}
