// Ranks as processes: this program starts itself again, and as a rank plays the part that its first
// argument names.
#include <dirent.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "runtime/base/program.h"
#include "runtime/launch/launcher.h"
#include "runtime/launch/machine.h"
#include "runtime/launch/net.h"
#include "runtime/launch/rank.h"

namespace dcc::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

void sleepLong() { std::this_thread::sleep_for(std::chrono::seconds(60)); }

using Part = std::function<Status(Rank&, Communicator&)>;

const std::map<std::string, Part>& parts() {
  static const std::map<std::string, Part> all = {
      {"sum",
       [](Rank& rank, Communicator& world) -> Status {
         float x = float(rank.rank() + 1);
         DCC_RETURN_IF_ERROR(world.allReduceSum(&x, &x, 1, SumOrder::kRanks));
         const float n = float(world.size());
         return x == n * (n + 1) / 2 ? Status::success() : runtimeError("a wrong sum");
       }},
      {"environment",
       [](Rank& rank, Communicator&) -> Status {
         const std::string number = std::to_string(rank.rank());
         const bool right = std::getenv("RANK") == number && std::getenv("LOCAL_RANK") == number &&
                            std::getenv("WORLD_SIZE") == std::string("3");
         return right ? Status::success() : runtimeError("a wrong environment");
       }},
      {"user error",
       [](Rank& rank, Communicator& world) -> Status {
         if (rank.rank() != 1) return world.barrier();
         return userError("in.jsonl:3: no JSON");
       }},
      {"runtime error",
       [](Rank& rank, Communicator& world) -> Status {
         if (rank.rank() != 1) return world.barrier();
         return runtimeError("model.layers.0.mlp: no memory");
       }},
      {"segfault",
       [](Rank& rank, Communicator& world) -> Status {
         if (rank.rank() != 1) return world.barrier();
         world.whereabouts().set(&Whereabouts::step, 7);
         world.whereabouts().set(&Whereabouts::place, kInEntry);
         ::signal(SIGSEGV, SIG_DFL);  // sanitizers have a handler of their own
         ::raise(SIGSEGV);
         return {};
       }},
      {"exit",
       [](Rank& rank, Communicator& world) -> Status {
         if (rank.rank() == 1) ::_exit(0);
         return world.barrier();
       }},
      // The others are busy and never look at the group; they don't even hear SIGTERM.
      {"deaf",
       [](Rank& rank, Communicator&) -> Status {
         ::signal(SIGTERM, SIG_IGN);
         if (rank.rank() == 1) ::raise(SIGKILL);
         sleepLong();
         return {};
       }},
      {"leave one behind",
       [](Rank& rank, Communicator&) -> Status {
         if (rank.rank() == 2) sleepLong();
         return {};
       }},
      {"sleep",
       [](Rank&, Communicator& world) -> Status {
         DCC_RETURN_IF_ERROR(world.barrier());
         if (::write(STDERR_FILENO, "ready\n", 6) != 6) return runtimeError("no pipe");
         sleepLong();
         return {};
       }},
  };
  return all;
}

Status playPart(Rank& rank, const std::string& part, bool tcp) {
  MeetOptions options;
  options.transport = tcp ? Transport::kTcp : Transport::kAuto;
  DCC_RETURN_IF_ERROR(rank.meet(options));
  DCC_RETURN_IF_ERROR(rank.connect({std::chrono::seconds(20), true}));
  return parts().at(part)(rank, rank.world());
}

Launched launchPart(const std::string& part, uint32_t ranks = 3, bool tcp = false) {
  std::string program = "launch_test", copy = part, transport = tcp ? "tcp" : "auto";
  char* argv[] = {program.data(), copy.data(), transport.data(), nullptr};
  LaunchOptions options;
  options.ranks = ranks;
  options.argv = argv;
  options.timeout = milliseconds(1500);
  options.describe = [](uint32_t, uint32_t) { return "over there"; };
  return launch(options);
}

// One of two launchers, each of two ranks of the four, as on two hosts.
Status launchHalf(const std::string& part, uint32_t node, uint16_t port, bool tcp) {
  std::string program = "launch_test", copy = part, transport = tcp ? "tcp" : "auto";
  char* argv[] = {program.data(), copy.data(), transport.data(), nullptr};
  LaunchOptions options;
  options.ranks = 2;
  options.first_rank = 2 * node;
  options.world_size = 4;
  options.master_address = "127.0.0.1";
  options.master_port = port;
  options.argv = argv;
  return launch(options).status;
}

std::vector<pid_t> childrenOf(pid_t parent) {
  std::vector<pid_t> children;
  DIR* proc = ::opendir("/proc");
  while (const dirent* entry = ::readdir(proc)) {
    std::ifstream stat(std::string("/proc/") + entry->d_name + "/stat");
    std::string text;
    if (!std::getline(stat, text)) continue;
    const size_t paren = text.rfind(')');
    if (paren == text.npos) continue;  // another kind of file
    std::istringstream fields(text.substr(paren + 1));
    pid_t ppid = 0;
    char state = 0;
    if (fields >> state >> ppid && ppid == parent) children.push_back(std::stoi(entry->d_name));
  }
  ::closedir(proc);
  return children;
}

struct Outcome {
  Status status;
  milliseconds took;
};

Outcome timed(const std::string& part, bool tcp) {
  const auto start = steady_clock::now();
  Status status = launchPart(part, 3, tcp).status;
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
  EXPECT_TRUE(childrenOf(::getpid()).empty()) << "something was left behind";
  return {std::move(status), took};
}

// Whether ranks meet over TCP.
class Launch : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Transports, Launch, testing::Bool(),
                         [](const auto& info) { return info.param ? "Tcp" : "SharedMemory"; });

TEST_P(Launch, RanksWorkTogetherAsProcesses) {
  for (const uint32_t ranks : {1, 2, 8})
    EXPECT_TRUE(launchPart("sum", ranks, GetParam()).status.ok());
  ::setenv("RANK", "17", 1);
  const Status status = launchPart("environment", 3, GetParam()).status;
  EXPECT_TRUE(status.ok()) << status.error().message;
  ::unsetenv("RANK");
}

TEST_P(Launch, TheFirstErrorIsTheResult) {
  const Outcome user = timed("user error", GetParam());
  EXPECT_EQ(user.status.error().message, "in.jsonl:3: no JSON");
  EXPECT_EQ(user.status.error().fault, Fault::kUser);
  const Outcome runtime = timed("runtime error", GetParam());
  EXPECT_EQ(runtime.status.error().message, "rank 1: model.layers.0.mlp: no memory");
  EXPECT_EQ(runtime.status.error().fault, Fault::kRuntime);
  EXPECT_LT(runtime.took, milliseconds(2000));
}

TEST_P(Launch, ADeadRankEndsAllAndIsNamed) {
  const Outcome dead = timed("segfault", GetParam());
  EXPECT_EQ(dead.status.error().message,
            "rank 1: killed by signal 11 (Segmentation fault), last seen in step 7, over there");
  EXPECT_LT(dead.took, milliseconds(2000));
  const Outcome gone = timed("exit", GetParam());
  EXPECT_EQ(gone.status.error().message,
            "rank 1: exited before its work was done, last seen starting");
  EXPECT_LT(gone.took, milliseconds(2000));
}

TEST_P(Launch, RanksThatDoNotListenAreKilledInTime) {
  const Outcome deaf = timed("deaf", GetParam());
  EXPECT_EQ(deaf.status.error().message, "rank 1: killed by signal 9 (Killed), last seen starting");
  EXPECT_LT(deaf.took, milliseconds(2000));
  const Outcome left = timed("leave one behind", GetParam());
  EXPECT_EQ(left.status.error().message,
            "rank 2: did not end within 1.5 s of the first that did, last seen starting");
  EXPECT_LT(left.took, milliseconds(3500));
}

// Both halves' ends: of node 0, and what node 1 wrote.
std::pair<Status, std::string> launchHalves(const std::string& part, bool tcp) {
  const uint16_t port = ownAddress(std::move(listenOn(0, true)).value().get()).port;
  int errors[2];
  EXPECT_EQ(::pipe(errors), 0);
  const pid_t other = ::fork();
  if (other == 0) {
    const Status status = launchHalf(part, 1, port, tcp);
    const std::string text = status.ok() ? "success" : status.error().message;
    (void)!::write(errors[1], text.data(), text.size());
    ::_exit(0);
  }
  ::close(errors[1]);
  const Status status = launchHalf(part, 0, port, tcp);
  std::string text;
  for (char c; ::read(errors[0], &c, 1) == 1;) text += c;
  ::close(errors[0]);
  ::waitpid(other, nullptr, 0);
  return {status, text};
}

TEST_P(Launch, LaunchersOfSeveralHostsMakeOneGroup) {
  const auto [sum, others_sum] = launchHalves("sum", GetParam());
  EXPECT_TRUE(sum.ok()) << sum.error().message;
  EXPECT_EQ(others_sum, "success");
  const auto [failed, others_failed] = launchHalves("runtime error", GetParam());
  EXPECT_EQ(failed.error().message, "rank 1: model.layers.0.mlp: no memory");
  EXPECT_EQ(others_failed, failed.error().message);
  const auto [killed, others_killed] = launchHalves("segfault", GetParam());
  EXPECT_TRUE(killed.error().message.starts_with("rank 1: on " + hostName() +
                                                 ": killed by signal 11 (Segmentation fault)"))
      << killed.error().message;
  EXPECT_TRUE(others_killed.starts_with("rank 1: its connection ended: it died")) << others_killed;
  // Over shared memory it says where it is to its peers, not to its launcher.
  const bool knows =
      killed.error().message.ends_with(", last seen in step 7, entry 0, instruction 0");
  EXPECT_EQ(knows, GetParam()) << killed.error().message;
}

// A launcher in a process of its own, so that it can be sent signals.
class Process {
 public:
  Process() {
    int errors[2];
    EXPECT_EQ(::pipe(errors), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(errors[1], STDERR_FILENO);
      const Launched launched = launchPart("sleep");
      std::cerr << launched.status.error().message << "\n" << std::flush;
      ::_exit(exitStatus(launched.status, launched.signal));
    }
    ::close(errors[1]);
    errors_ = errors[0];
    while (ready() < 3) {
      char c;
      if (::read(errors_, &c, 1) != 1) break;
      text_ += c;
    }
    ranks_ = childrenOf(pid_);
  }
  ~Process() { ::close(errors_); }

  pid_t pid() const { return pid_; }
  const std::vector<pid_t>& ranks() const { return ranks_; }

  // What it wrote until its end, and how long that took.
  std::string finish(int& status, milliseconds& took) {
    const auto start = steady_clock::now();
    for (char c; ::read(errors_, &c, 1) == 1;) text_ += c;
    ::waitpid(pid_, &status, 0);
    took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
    return text_;
  }

 private:
  size_t ready() const {
    size_t count = 0;
    for (size_t at = 0; (at = text_.find("ready\n", at)) != std::string::npos; ++at) ++count;
    return count;
  }

  pid_t pid_;
  int errors_;
  std::string text_;
  std::vector<pid_t> ranks_;
};

TEST(Launched, SignalsEndTheRanks) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Process launched;
    ASSERT_EQ(launched.ranks().size(), 3u);
    ::kill(launched.pid(), signal);
    int status = 0;
    milliseconds took;
    const std::string text = launched.finish(status, took);
    EXPECT_NE(text.find("ended by signal " + std::to_string(signal)), std::string::npos) << text;
    EXPECT_EQ(WEXITSTATUS(status), 128 + signal);
    EXPECT_LT(took, milliseconds(2000));
    for (const pid_t rank : launched.ranks()) EXPECT_NE(::kill(rank, 0), 0);
  }
}

TEST(Launched, ARankKilledFromOutsideEndsAll) {
  Process launched;
  ASSERT_EQ(launched.ranks().size(), 3u);
  ::kill(launched.ranks()[2], SIGKILL);
  int status = 0;
  milliseconds took;
  const std::string text = launched.finish(status, took);
  EXPECT_NE(text.find("killed by signal 9 (Killed)"), std::string::npos) << text;
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_LT(took, milliseconds(2000));
}

TEST(Launched, RanksDieWithTheLauncher) {
  Process launched;
  ASSERT_EQ(launched.ranks().size(), 3u);
  ::kill(launched.pid(), SIGKILL);
  int status = 0;
  milliseconds took;
  launched.finish(status, took);  // the pipe closes when the last rank is gone
  EXPECT_LT(took, milliseconds(2000));
}

}  // namespace
}  // namespace dcc::launch

int main(int argc, char** argv) {
  auto rank = dcc::launch::Rank::launched();
  if (!rank.ok()) {
    std::cerr << rank.error().message << "\n" << std::flush;
    return 1;
  }
  if (*rank) return (*rank)->end(dcc::launch::playPart(**rank, argv[1], argv[2][0] == 't'));
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
