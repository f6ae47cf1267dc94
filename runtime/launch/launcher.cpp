#include "runtime/launch/launcher.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/collectives/region.h"
#include "runtime/launch/place.h"
#include "runtime/launch/shared_mapping.h"

namespace dcc::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::string signalText(int signal) {
  const char* what = ::sigdescr_np(signal);
  return "signal " + std::to_string(signal) +
         (what == nullptr ? "" : " (" + std::string(what) + ")");
}

// The signals a launcher waits for instead of handling them. Those that were ignored when we were
// started (nohup, background jobs) stay ignored.
sigset_t waitedSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGCHLD);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action;
    ::sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) ::sigaddset(&set, signal);
  }
  return set;
}

using Variables = std::map<std::string, std::string, std::less<>>;

// Our environment with these variables in place of its own.
std::vector<std::string> environmentWith(const Variables& own) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (own.find(text.substr(0, text.find('='))) == own.end()) environment.emplace_back(text);
  }
  for (const auto& [name, value] : own) environment.push_back(name + "=" + value);
  return environment;
}

// Nobody else on this host may join our ranks; it also names the socket they meet at.
std::string newSecret() {
  Hash random;
  while (::getrandom(&random, sizeof(random), 0) != sizeof(random)) {
  }
  return random.hex();
}

class Launcher {
 public:
  Launcher(const LaunchOptions& options, const SharedMapping& mapping, const Region& region)
      : options_(options), mapping_(mapping), region_(region), pids_(options.ranks, 0) {
    const bool alone = options.master_address.empty();
    variables_[kWorldSizeVariable] = std::to_string(alone ? options.ranks : options.world_size);
    variables_[kLocalWorldSizeVariable] = std::to_string(options.ranks);
    variables_[kMemoryVariable] = std::to_string(mapping.fd());
    if (alone) {
      variables_[kSecretVariable] = newSecret();
    } else {  // their secret is the user's
      variables_[kMasterAddressVariable] = options.master_address;
      variables_[kMasterPortVariable] = std::to_string(options.master_port);
    }
  }

  Status run();

 private:
  // `local`: a local rank, its number among those here and in the region; `rank`: among all.
  int32_t rankOf(uint32_t local) const { return static_cast<int32_t>(options_.first_rank + local); }
  bool start(uint32_t local);
  [[noreturn]] void become(int32_t rank, pid_t parent, const std::vector<char*>& environment);
  void reap();
  void ended(uint32_t local, int status);
  void fail(int32_t rank, const Error& why);
  void escalate();
  void signalAll(int signal);

  // kEnding: a rank has done its work, the others must be about to.
  enum class State { kRunning, kEnding, kFailed };

  const LaunchOptions& options_;
  const SharedMapping& mapping_;
  Region region_;            // of the ranks here
  Variables variables_;      // of all of them
  std::vector<pid_t> pids_;  // 0: not running
  uint32_t alive_ = 0;
  sigset_t waited_, before_;
  State state_ = State::kRunning;
  int last_signal_ = 0;            // sent to the ranks
  steady_clock::time_point next_;  // when escalate() has something to do
};

Status Launcher::run() {
  waited_ = waitedSignals();
  ::sigprocmask(SIG_BLOCK, &waited_, &before_);
  for (uint32_t local = 0; local < options_.ranks && start(local); ++local) {
  }
  bool interrupted = false;
  while (alive_ > 0) {
    const timespec limit{0, state_ == State::kRunning ? 500'000'000 : 20'000'000};
    const int signal = ::sigtimedwait(&waited_, nullptr, &limit);
    if (signal > 0 && signal != SIGCHLD) {
      if (interrupted) signalAll(SIGKILL);  // asked twice
      interrupted = true;
      fail(-1, runtimeError("ended by " + signalText(signal)));
    }
    reap();
    escalate();
  }
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);

  if (state_ != State::kFailed) return Status::success();
  const auto first = region_.firstError();
  if (!first) return runtimeError("a rank died while it reported an error");
  if (first->rank < 0 || first->error.fault == Fault::kUser) return first->error;
  return runtimeError("rank " + std::to_string(first->rank) + ": " + first->error.message);
}

bool Launcher::start(uint32_t local) {
  // What the child needs is made before the fork: afterwards it only calls the kernel.
  const int32_t rank = rankOf(local);
  Variables variables = variables_;
  variables[kRankVariable] = std::to_string(rank);
  variables[kLocalRankVariable] = std::to_string(local);
  std::vector<std::string> environment = environmentWith(variables);
  std::vector<char*> pointers;
  for (std::string& entry : environment) pointers.push_back(entry.data());
  pointers.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(rank, parent, pointers);
  if (pid < 0) {
    fail(rank, runtimeError("cannot be started: " + errnoText(errno)));
    return false;
  }
  pids_[local] = pid;
  ++alive_;
  return true;
}

void Launcher::become(int32_t rank, pid_t parent, const std::vector<char*>& environment) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  // Ctrl-C reaches all processes of the terminal; it is the launcher's to decide what happens then.
  ::signal(SIGINT, SIG_IGN);
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  ::fcntl(mapping_.fd(), F_SETFD, 0);
  if (rank != 0) {
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0) ::dup2(null, STDIN_FILENO);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
  }
  ::execve("/proc/self/exe", options_.argv, environment.data());
  region_.abort(rank, runtimeError("cannot be started: " + errnoText(errno)));
  ::_exit(1);
}

void Launcher::reap() {
  for (uint32_t local = 0; local < pids_.size(); ++local) {
    int status = 0;
    if (pids_[local] == 0 || ::waitpid(pids_[local], &status, WNOHANG) != pids_[local]) continue;
    pids_[local] = 0;
    --alive_;
    ended(local, status);
  }
}

void Launcher::ended(uint32_t local, int status) {
  const int32_t rank = rankOf(local);
  const bool done = region_.finished(local);
  if (done && last_signal_ == SIGKILL && state_ == State::kEnding) return;  // a straggler
  if (WIFSIGNALED(status)) {
    fail(rank, runtimeError("killed by " + signalText(WTERMSIG(status))));
  } else if (WEXITSTATUS(status) != 0) {
    // Usually it has said why already, and this changes nothing.
    fail(rank, runtimeError("exited with status " + std::to_string(WEXITSTATUS(status))));
  } else if (!done) {
    fail(rank, runtimeError("exited before its work was done"));
  } else if (state_ == State::kRunning) {
    state_ = State::kEnding;
    next_ = steady_clock::now() + 2 * options_.grace;
  }
}

void Launcher::fail(int32_t rank, const Error& why) {
  region_.abort(rank, why);
  if (state_ == State::kFailed) return;
  state_ = State::kFailed;
  next_ = steady_clock::now() + options_.grace;
}

// Ends those that do not end by themselves.
void Launcher::escalate() {
  if (state_ == State::kRunning || alive_ == 0 || steady_clock::now() < next_) return;
  if (state_ == State::kEnding) {
    for (uint32_t local = 0; local < pids_.size(); ++local) {
      if (pids_[local] == 0 || region_.finished(local)) continue;
      return fail(rankOf(local), runtimeError("did not end with the others"));
    }
  }
  // Who has finished has nothing left to lose.
  last_signal_ = last_signal_ == 0 && state_ == State::kFailed ? SIGTERM : SIGKILL;
  signalAll(last_signal_);
  next_ = steady_clock::now() + options_.grace;
}

void Launcher::signalAll(int signal) {
  for (const pid_t pid : pids_) {
    if (pid != 0) ::kill(pid, signal);
  }
}

}  // namespace

Status launch(const LaunchOptions& options) {
  DCC_ASSIGN(const size_t bytes, Region::bytesWithParts(options.ranks, Region::kDefaultSlotBytes));
  DCC_ASSIGN(const SharedMapping mapping, SharedMapping::create(bytes));
  DCC_RETURN_IF_ERROR(Region::format(mapping.memory(), options.ranks, Region::kDefaultSlotBytes));
  DCC_ASSIGN(const Region region, Region::open(mapping.memory()));
  return Launcher(options, mapping, region).run();
}

}  // namespace dcc::launch
