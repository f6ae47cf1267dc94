// Ranks as threads that know only where rank 0 is; visitors that are none.
#include "runtime/launch/rendezvous.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>
#include <random>
#include <thread>

#include "runtime/collectives/region.h"
#include "runtime/collectives/tcp.h"
#include "runtime/launch/greeting.h"
#include "runtime/launch/local_socket.h"
#include "runtime/launch/net.h"
#include "runtime/launch/refusal.h"

namespace dcc::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Where rank 0 is met: a port of this host that it listens on, or a socket that needs none.
class Store {
 public:
  Store() : listener_(std::move(listenOn(0, true)).value()) {}
  explicit Store(std::string room) : room_(std::move(room)) {}
  uint16_t port() const { return ownAddress(listener_.get()).port; }
  Contact contact(uint32_t rank, uint32_t size) const {
    Contact contact;
    contact.rank = rank;
    contact.size = size;
    contact.host = "127.0.0.1";
    contact.port = port_;
    contact.room = room_;
    contact.secret = "open sesame";
    contact.deadline = seconds(20);
    return contact;
  }
  Result<Rendezvous> meet(const Contact& contact) {
    return Rendezvous::meet(contact, contact.rank == 0 ? std::move(listener_) : UniqueFd());
  }

 private:
  UniqueFd listener_;
  uint16_t port_ = listener_ ? ownAddress(listener_.get()).port : 0;
  std::string room_;
};

std::string ownRoom() { return "drun-test-" + std::to_string(::getpid()); }

// Each of `contacts` in a thread of its own.
template <class Body>
std::vector<Status> run(Store& store, const std::vector<Contact>& contacts, Body&& body) {
  std::vector<Status> results(contacts.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < contacts.size(); ++i) {
    threads.emplace_back([&, i] {
      results[i] = [&]() -> Status {
        DCC_ASSIGN(Rendezvous meeting, store.meet(contacts[i]));
        return body(contacts[i].rank, meeting);
      }();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return results;
}

std::vector<Contact> contactsOf(const Store& store, uint32_t size) {
  std::vector<Contact> contacts;
  for (uint32_t r = 0; r < size; ++r) contacts.push_back(store.contact(size - 1 - r, size));
  return contacts;
}

// Whether they meet at a local socket.
class Meeting : public testing::TestWithParam<bool> {
 protected:
  static Store store() { return GetParam() ? Store(ownRoom()) : Store(); }
};
INSTANTIATE_TEST_SUITE_P(Rendezvous, Meeting, testing::Bool(),
                         [](const auto& info) { return info.param ? "Locally" : "OverTcp"; });

TEST_P(Meeting, RanksOfOneHostShareMemory) {
  for (const uint32_t size : {1, 2, 7}) {
    Store store = Meeting::store();
    for (const Status& status :
         run(store, contactsOf(store, size), [&](uint32_t rank, Rendezvous&meeting) -> Status {
           EXPECT_TRUE(meeting.sharesMemory());
           EXPECT_EQ(meeting.localSize(), size);
           EXPECT_EQ(meeting.localRank(), rank);
           const size_t bytes = Region::bytesFor(size, 4096).value();
           DCC_ASSIGN(const SharedMapping mapping,
                      meeting.share(bytes, [&](std::span<std::byte> memory) {
                        return Region::format(memory, size, 4096);
                      }));
           DCC_ASSIGN(const Region region, Region::open(mapping.memory()));
           region.markFinished(rank);
           while (!region.finished(size - 1 - rank)) std::this_thread::yield();
           return Status::success();
         })) {
      EXPECT_TRUE(status.ok()) << status.error().message;
    }
  }
}

TEST_P(Meeting, RanksConnectToEachOther) {
  for (const uint32_t size : {1, 2, 3, 6, 24}) {
    Store store = Meeting::store();
    std::vector<Contact> contacts = contactsOf(store, size);
    contacts[0].use_tcp = true;
    for (const Status& status :
         run(store, contacts, [&](uint32_t rank, Rendezvous&meeting) -> Status {
           EXPECT_FALSE(meeting.sharesMemory());
           DCC_ASSIGN(std::vector<UniqueFd> peers, meeting.connectAll());
           const auto world = tcpCommunicator(std::move(peers), rank, {seconds(20), true});
           for (uint32_t root = 0; root < size; ++root) {
             uint32_t data = rank;
             DCC_RETURN_IF_ERROR(world->broadcast(&data, sizeof(data), root));
             EXPECT_EQ(data, root);
           }
           return world->barrier();
         })) {
      EXPECT_TRUE(status.ok()) << status.error().message;
    }
  }
}

TEST(Rendezvous, WhoDoesNotComeIsNamed) {
  Store store;
  std::vector<Contact> contacts = {store.contact(0, 4), store.contact(2, 4)};
  for (Contact& contact : contacts) contact.deadline = milliseconds(300);
  for (const Status& status :
       run(store, contacts, [](uint32_t, Rendezvous&) { return Status::success(); })) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message,
              "start: no sign of rank 1, 3 for 0.3 s; a longer --timeout waits longer");
  }
}

TEST(Rendezvous, NobodyListening) {
  Contact contact = Store().contact(1, 2);  // its listener is gone
  contact.deadline = milliseconds(300);
  const auto met = Rendezvous::meet(contact);
  ASSERT_FALSE(met.ok());
  EXPECT_EQ(met.error().message, "127.0.0.1:" + std::to_string(contact.port) +
                                     ": cannot be reached: Connection refused");
}

// Two ranks of three come, then the last with a contact that `change` has changed: how each ended.
std::vector<Error> meetWith(const std::function<void(Contact&)>& change,
                            milliseconds deadline = seconds(20)) {
  Store store;
  std::vector<Contact> contacts = {store.contact(0, 3), store.contact(1, 3), store.contact(2, 3)};
  for (Contact& contact : contacts) contact.deadline = deadline;
  change(contacts[2]);
  std::vector<Error> errors(3);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      if (i == 2) std::this_thread::sleep_for(milliseconds(200));
      const auto met = store.meet(contacts[i]);
      if (!met.ok()) errors[i] = met.error();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

// Who does not know the secret may be anybody: the right one may still come.
TEST(Rendezvous, AStrangerIsRefusedAndTheOthersWaitOn) {
  const std::vector<Error> errors =
      meetWith([](Contact& contact) { contact.secret = "open barley"; }, milliseconds(1500));
  EXPECT_EQ(errors[2].message,
            "rank 2 has another DRUN_SECRET than rank 0; all ranks must have the same");
  EXPECT_EQ(errors[0].message, "start: no sign of rank 2 for 1.5 s; refused: " + errors[2].message +
                                   "; a longer --timeout waits longer");
  EXPECT_EQ(errors[1].message, errors[0].message);
  EXPECT_EQ(errors[1].fault, Fault::kRuntime);
}

// A member that does not fit ends the meeting at once, and all hear why.
TEST(Rendezvous, WhoDoesNotFitIsNamedToAll) {
  const std::pair<std::function<void(Contact&)>, std::string> cases[] = {
      {[](Contact& contact) { contact.size = 5; },
       "start: rank 2 is one of 5 ranks, rank 0 of 3; all must have the same world size"},
      {[](Contact& contact) { contact.rank = 1; },
       "start: rank 1: there is one already; every rank has a number of its own"},
      {[](Contact& contact) { contact.rank = 3; }, "start: rank 3 of 3: there is no such rank"},
  };
  for (const auto& [change, why] : cases) {
    for (const Error& error : meetWith(change)) {
      EXPECT_EQ(error.message, why);
      EXPECT_EQ(error.fault, Fault::kUser);
    }
  }
}

TEST(Rendezvous, WhoLeavesWhileOthersAreAwaitedIsNamed) {
  Store store;
  const uint16_t port = store.port();
  std::thread leaver([&] {
    Hello hello = makeHello(2, 3, "open sesame");
    UniqueFd fd =
        std::move(connectTo("127.0.0.1", port, steady_clock::now() + seconds(20))).value();
    ASSERT_TRUE(sendAll(fd.get(), bytesOf(hello), steady_clock::now() + seconds(20)).ok());
    std::this_thread::sleep_for(milliseconds(100));
  });
  const auto met = store.meet(store.contact(0, 3));
  leaver.join();
  ASSERT_FALSE(met.ok());
  EXPECT_EQ(met.error().message, "start: rank 2 ended while others were awaited");
}

// Who fails before it comes says so, and the others need not wait: here rank 2 to those that wait
// at rank 0, and rank 0 to those that look for it.
TEST_P(Meeting, WhoCannotComeSaysWhy) {
  const Error why = userError("rank 2: /plan: no such directory");
  Store store = Meeting::store();
  std::vector<Error> errors(2);
  std::vector<std::thread> ranks;
  for (const uint32_t rank : {0, 1}) {
    ranks.emplace_back([&, rank] {
      const auto met = store.meet(store.contact(rank, 3));
      if (!met.ok()) errors[rank] = met.error();
    });
  }
  excuse(store.contact(2, 3), why);
  for (std::thread& rank : ranks) rank.join();
  for (const Error& error : errors) {
    EXPECT_EQ(error.message, why.message);
    EXPECT_EQ(error.fault, Fault::kUser);
  }
}

TEST_P(Meeting, RankZeroThatCannotComeSaysWhy) {
  Contact contact = Meeting::store().contact(1, 2);  // nobody listens there now
  Error error;
  std::thread other([&] {
    const auto met = Rendezvous::meet(contact);
    if (!met.ok()) error = met.error();
  });
  Contact own = contact;
  own.rank = 0;
  std::this_thread::sleep_for(milliseconds(100));
  excuse(own, runtimeError("rank 0: no memory"));
  other.join();
  EXPECT_EQ(error.message, "rank 0: no memory");
  EXPECT_EQ(error.fault, Fault::kRuntime);
}

TEST(Rendezvous, ASocketOfThisHostHasOneRankZero) {
  const UniqueFd first = std::move(listenLocally(ownRoom())).value();
  Store store(ownRoom());
  const auto met = store.meet(store.contact(0, 2));
  ASSERT_FALSE(met.ok());
  EXPECT_EQ(met.error().message.find("rank 0: there is one already, process "), 0u);
  EXPECT_EQ(met.error().fault, Fault::kUser);
}

// Port scans, silent visitors and random bytes, all the time.
TEST(Rendezvous, StrangersDoNotDisturb) {
  Store store;
  const uint16_t port = store.port();
  std::atomic<bool> stop = false;
  std::thread strangers([&] {
    std::mt19937 random(1);
    std::vector<UniqueFd> silent;
    while (!stop) {
      auto fd = connectTo("127.0.0.1", port, steady_clock::now() + milliseconds(10));
      if (!fd.ok()) continue;
      std::vector<uint8_t> bytes(random() % 300);
      for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
      (void)!::send(fd->get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (random() % 2 == 0) silent.push_back(std::move(fd).value());
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  std::this_thread::sleep_for(milliseconds(50));
  const auto results =
      run(store, contactsOf(store, 4), [](uint32_t rank, Rendezvous& meeting) -> Status {
        DCC_ASSIGN(std::vector<UniqueFd> peers, meeting.connectAll());
        return tcpCommunicator(std::move(peers), rank, {seconds(20), true})->barrier();
      });
  stop = true;
  strangers.join();
  for (const Status& status : results) EXPECT_TRUE(status.ok()) << status.error().message;
}

TEST(Rendezvous, ARankFindsSomethingElseAtThePort) {
  const UniqueFd listener = std::move(listenOn(0, true)).value();
  std::thread other([&] {
    waitFor(listener.get(), POLLIN, steady_clock::now() + seconds(20));
    const UniqueFd fd(::accept(listener.get(), nullptr, nullptr));
    const std::string hello = "HTTP/1.1 400 Bad Request\r\n\r\n";
    (void)!::send(fd.get(), hello.data(), hello.size(), MSG_NOSIGNAL);
    char byte;
    while (::recv(fd.get(), &byte, 1, 0) > 0) {
    }
  });
  Contact contact;
  contact.rank = 1;
  contact.size = 2;
  contact.host = "127.0.0.1";
  contact.port = ownAddress(listener.get()).port;
  const auto met = Rendezvous::meet(contact);
  other.join();
  ASSERT_FALSE(met.ok());
  EXPECT_NE(met.error().message.find("something else answers there"), std::string::npos)
      << met.error().message;
}

TEST(Net, AddressesAreWrittenAsUsual) {
  const UniqueFd listener = std::move(listenOn(0, true)).value();
  const Address own = ownAddress(listener.get());
  EXPECT_TRUE(own.isLoopback());
  EXPECT_EQ(own.text(), "127.0.0.1:" + std::to_string(own.port));
  Address v6;
  v6.ip[15] = 1;
  v6.port = 7;
  EXPECT_TRUE(v6.isLoopback());
  EXPECT_EQ(v6.text(), "[::1]:7");
  EXPECT_FALSE(listenOn(own.port).ok()) << "it is taken";
}

}  // namespace
}  // namespace dcc::launch
