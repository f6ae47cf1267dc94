#include "runtime/launch/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/collectives/region.h"
#include "runtime/launch/machine.h"
#include "runtime/launch/place.h"
#include "runtime/launch/rank_logs.h"
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
  Launcher(const LaunchOptions& options, const SharedMapping& mapping, const Region& region,
           std::optional<RankLogs> logs)
      : options_(options),
        mapping_(mapping),
        region_(region),
        logs_(std::move(logs)),
        pids_(options.ranks, 0) {
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

  Launched run();

 private:
  int wait();
  void interrupt(int signal);
  bool comesToUs(int signal) const;
  Launched result();
  // `local`: a local rank, its number among those here and in the region; `rank`: among all.
  int32_t rankOf(uint32_t local) const { return static_cast<int32_t>(options_.first_rank + local); }
  bool start(uint32_t local);
  [[noreturn]] void become(uint32_t local, pid_t parent, const std::vector<char*>& environment);
  void reap();
  void ended(uint32_t local, int status);
  void fail(int32_t rank, const Error& why);
  void failThere(uint32_t local, const std::string& what);
  void escalate();
  bool allFinished() const;
  void signalAll(int signal);

  // kEnding: a rank has done its work, the others must be about to.
  enum class State { kRunning, kEnding, kFailed };

  const LaunchOptions& options_;
  const SharedMapping& mapping_;
  Region region_;  // of the ranks here
  std::optional<RankLogs> logs_;
  UniqueFd signals_;
  std::vector<pollfd> polled_;
  Variables variables_;      // of all of them
  std::vector<pid_t> pids_;  // 0: not running
  uint32_t alive_ = 0;
  sigset_t waited_, before_;
  State state_ = State::kRunning;
  int interrupted_ = 0;             // the first signal sent to us
  int last_signal_ = 0;             // sent to the ranks
  steady_clock::time_point next_;   // when escalate() has something to do
  steady_clock::time_point limit_;  // of kEnding
};

Launched Launcher::run() {
  waited_ = waitedSignals();
  ::sigprocmask(SIG_BLOCK, &waited_, &before_);
  signals_.reset(::signalfd(-1, &waited_, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return {runtimeError("launcher: signalfd: " + errnoText(errno))};
  for (uint32_t local = 0; local < options_.ranks && start(local); ++local) {
  }
  while (alive_ > 0) {
    if (const int signal = wait(); signal != 0 && signal != SIGCHLD) interrupt(signal);
    reap();
    escalate();
  }
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  return result();
}

// Until a signal comes, which it returns, or there is something else to look at: 0.
int Launcher::wait() {
  polled_.assign(1, {signals_.get(), POLLIN, 0});
  if (logs_) logs_->addTo(polled_);
  ::poll(polled_.data(), polled_.size(), state_ == State::kRunning ? 500 : 20);
  if (logs_) logs_->move();
  signalfd_siginfo info;
  return ::read(signals_.get(), &info, sizeof(info)) == sizeof(info)
             ? static_cast<int>(info.ssi_signo)
             : 0;
}

void Launcher::interrupt(int signal) {
  if (interrupted_ != 0) signalAll(SIGKILL);  // asked twice
  if (interrupted_ == 0) interrupted_ = signal;
  fail(-1, runtimeError("ended by " + signalText(signal)));
}

// What ends a terminal's processes or a job's reaches all of them: a rank may have died of what
// comes to us a moment later.
bool Launcher::comesToUs(int signal) const {
  if (::sigismember(&waited_, signal) != 1) return false;
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  const timespec moment{0, 50'000'000};
  return ::sigtimedwait(&set, nullptr, &moment) == signal;
}

Launched Launcher::result() {
  Launched launched;
  launched.started = true;
  if (logs_) launched.written = logs_->finish();
  if (state_ != State::kFailed) return launched;
  const auto first = region_.firstError();
  if (!first) {
    launched.status = runtimeError("a rank died while it reported an error");
    return launched;
  }
  launched.status = first->error.fault == Fault::kUser ? first->error : first->named();
  if (first->rank < 0) launched.signal = interrupted_;
  launched.details = first->details;
  return launched;
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
  if (pid == 0) become(local, parent, pointers);
  if (logs_) logs_->started(local);
  if (pid < 0) {
    fail(rank, runtimeError("cannot be started: " + errnoText(errno)));
    return false;
  }
  pids_[local] = pid;
  ++alive_;
  return true;
}

void Launcher::become(uint32_t local, pid_t parent, const std::vector<char*>& environment) {
  const int32_t rank = rankOf(local);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  ::fcntl(mapping_.fd(), F_SETFD, 0);
  if (logs_) ::dup2(logs_->writeEnd(local), STDERR_FILENO);
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
  const bool done = region_.finished(local);
  if (done && last_signal_ == SIGKILL && state_ == State::kEnding) return;  // a straggler
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (state_ != State::kFailed && comesToUs(signal)) return interrupt(signal);
    failThere(local, "killed by " + signalText(signal));
  } else if (WEXITSTATUS(status) != 0) {
    // Usually it has said why already, and this changes nothing.
    failThere(local, "exited with status " + std::to_string(WEXITSTATUS(status)));
  } else if (!done) {
    failThere(local, "exited before its work was done");
  } else if (state_ == State::kRunning) {
    state_ = State::kEnding;
    next_ = steady_clock::now() + 2 * options_.grace;
    limit_ = steady_clock::now() + options_.timeout;
  }
}

void Launcher::failThere(uint32_t local, const std::string& what) {
  const Where where = region_.whereabouts(local).read();
  // Where something has gone wrong already nobody asks for more.
  const bool tell = state_ != State::kFailed && !region_.aborted() && where.place != kElsewhere;
  std::string text = options_.master_address.empty() ? what : "on " + hostName() + ": " + what;
  if (tell) text += ", last seen " + whereText(where, options_.describe);
  fail(rankOf(local), runtimeError(text));
}

void Launcher::fail(int32_t rank, const Error& why) {
  region_.abort(rank, why);
  if (state_ == State::kFailed) return;
  if (logs_) logs_->hold();
  state_ = State::kFailed;
  next_ = steady_clock::now() + options_.grace;
}

bool Launcher::allFinished() const {
  for (uint32_t local = 0; local < pids_.size(); ++local) {
    if (pids_[local] != 0 && !region_.finished(local)) return false;
  }
  return true;
}

// Ends those that do not end by themselves.
void Launcher::escalate() {
  if (state_ == State::kRunning || alive_ == 0 || steady_clock::now() < next_) return;
  if (state_ == State::kEnding && !allFinished()) {
    if (steady_clock::now() < limit_) return;
    for (uint32_t local = 0; local < pids_.size(); ++local) {
      if (pids_[local] == 0 || region_.finished(local)) continue;
      return failThere(local, "did not end within " + secondsText(options_.timeout) +
                                  " s of the first that did");
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

Launched launch(const LaunchOptions& options) {
  Launched launched;
  const auto run = [&]() -> Status {
    std::optional<RankLogs> logs;
    if (!options.log_dir.empty()) {
      DCC_ASSIGN(logs, RankLogs::open(options.log_dir, options.first_rank, options.ranks));
    }
    DCC_ASSIGN(const size_t bytes,
               Region::bytesWithParts(options.ranks, Region::kDefaultSlotBytes));
    DCC_ASSIGN(const SharedMapping mapping, SharedMapping::create(bytes));
    DCC_RETURN_IF_ERROR(Region::format(mapping.memory(), options.ranks, Region::kDefaultSlotBytes));
    DCC_ASSIGN(const Region region, Region::open(mapping.memory()));
    launched = Launcher(options, mapping, region, std::move(logs)).run();
    return launched.status;
  };
  launched.status = run();
  return launched;
}

}  // namespace dcc::launch
