// Whatever strangers say to rank 0, the ranks that come after them meet; whatever members say, that
// or a reason of one line for all; whatever says it is rank 0, a rank gets its table or a reason;
// whatever strangers say to a rank that waits for its peers, those come in; whatever stands for
// Slurm's list of hosts, a name or a reason. Input: which of these; bytes.
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "runtime/launch/greeting.h"
#include "runtime/launch/nodelist.h"
#include "runtime/launch/rendezvous.h"
#include "tests/fuzz/socket.h"

namespace {

using namespace dcc;
using namespace dcc::launch;

constexpr uint32_t kRanks = 3;

// A socket that needs no port: of those a machine has too few for a fuzzer.
class Door {
 public:
  Door() : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    address_.sun_family = AF_UNIX;
    // The kernel finds a name.
    if (::bind(listener_.get(), address(), sizeof(sa_family_t)) != 0 ||
        ::listen(listener_.get(), 1024) != 0 ||
        ::getsockname(listener_.get(), address(), &size_) != 0) {
      std::abort();
    }
  }
  UniqueFd takeListener() { return std::move(listener_); }
  // A visitor that says `words` and no more.
  UniqueFd visit(std::span<const uint8_t> words) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    if (::connect(fd.get(), address(), size_) != 0) std::abort();
    fuzz::say(fd.get(), words);
    return fd;
  }

 private:
  sockaddr* address() { return reinterpret_cast<sockaddr*>(&address_); }

  UniqueFd listener_;
  sockaddr_un address_{};
  socklen_t size_ = sizeof(address_);
};

constexpr char kSecret[] = "that no input guesses";

void requireOneLine(const Error& error) {
  if (error.message.find('\n') != std::string::npos) std::abort();
}

// `members`: the visitors know the secret.
void visitRankZero(std::span<const uint8_t> words, bool members) {
  Door door;
  std::vector<UniqueFd> visitors;
  while (!words.empty()) {
    // What members say after that is why they do not come.
    const auto some = words.first(std::min(words.size(), sizeof(Hello) + (members ? 32 : 0)));
    words = words.subspan(some.size());
    std::vector<uint8_t> said(some.begin(), some.end());
    if (members && said.size() >= sizeof(Hello)) {
      const Hello right = makeHello(0, kRanks, kSecret);
      std::memcpy(said.data(), &right, offsetof(Hello, rank));
      std::memcpy(said.data() + offsetof(Hello, secret), right.secret, sizeof(right.secret));
    }
    visitors.push_back(door.visit(said));
    ::shutdown(visitors.back().get(), SHUT_WR);
  }
  for (uint32_t rank = 1; rank < kRanks; ++rank) {
    const Hello hello = makeHello(rank, kRanks, kSecret);
    visitors.push_back(door.visit({reinterpret_cast<const uint8_t*>(&hello), sizeof(hello)}));
  }
  Contact contact;
  contact.size = kRanks;
  contact.secret = kSecret;
  contact.use_tcp = true;
  // All that will be said has been.
  contact.deadline = std::chrono::milliseconds(members ? 10 : 1000);
  const Result<Rendezvous> meeting = Rendezvous::meet(contact, door.takeListener());
  if (meeting.ok() && meeting->sharesMemory()) std::abort();
  if (!meeting.ok() && !members) std::abort();
  if (!meeting.ok()) requireOneLine(meeting.error());
}

void hearRankZero(std::span<const uint8_t> words) {
  auto [own, peers] = fuzz::socketPair();
  fuzz::say(peers.get(), words);
  peers.reset();
  std::vector<std::byte> table(96);
  const Status status = receiveTable(own.get(), "rank 0 at a:1", table,
                                     std::chrono::steady_clock::now() + std::chrono::seconds(1));
  if (!status.ok()) requireOneLine(status.error());
}

// Rank 1's peers have met, as those of the seeds.
void visitRankOne(std::span<const uint8_t> words) {
  Door door;
  std::vector<UniqueFd> visitors;
  const auto visit = [&](std::span<const uint8_t> said) {
    visitors.push_back(door.visit(said));
    ::shutdown(visitors.back().get(), SHUT_WR);
  };
  while (!words.empty()) {
    const auto some = words.first(std::min(words.size(), sizeof(PeerHello)));
    words = words.subspan(some.size());
    visit(some);
  }
  std::vector<UniqueFd> peers(kRanks + 1);
  for (uint32_t rank = 0; rank <= kRanks; ++rank) {
    const PeerHello hello = makePeerHello(fuzz::kNonce, rank);
    visit({reinterpret_cast<const uint8_t*>(&hello), sizeof(hello)});
  }
  const UniqueFd listener = door.takeListener();
  const Status all = Rendezvous::letIn(peers, 1, listener.get(), fuzz::kNonce,
                                       std::chrono::steady_clock::now() + std::chrono::seconds(1));
  if (!all.ok() || peers[0] || peers[1] || !peers[2] || !peers[3]) std::abort();
}

void readHosts(std::span<const uint8_t> words) {
  const Result<std::string> host =
      firstHost({reinterpret_cast<const char*>(words.data()), words.size()});
  if (!host.ok()) return requireOneLine(host.error());
  if (host->empty() || host->size() > 253) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const uint8_t> words(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      visitRankZero(words, false);
      break;
    case 1:
      hearRankZero(words);
      break;
    case 2:
      visitRankZero(words, true);
      break;
    case 3:
      readHosts(words);
      break;
    default:
      visitRankOne(words);
  }
  return 0;
}
