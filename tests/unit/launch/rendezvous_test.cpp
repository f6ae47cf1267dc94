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
#include "runtime/launch/net.h"

namespace dcc::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// A port of this host that rank 0 listens on.
class Store {
 public:
  Store() : listener_(std::move(listenOn(0, true)).value()) {}
  uint16_t port() const { return ownAddress(listener_.get()).port; }
  Contact contact(uint32_t rank, uint32_t size) const {
    Contact contact;
    contact.rank = rank;
    contact.size = size;
    contact.host = "127.0.0.1";
    contact.port = port_;
    contact.secret = "open sesame";
    contact.deadline = seconds(20);
    return contact;
  }
  Result<Rendezvous> meet(const Contact& contact) {
    return Rendezvous::meet(contact, contact.rank == 0 ? std::move(listener_) : UniqueFd());
  }

 private:
  UniqueFd listener_;
  uint16_t port_ = ownAddress(listener_.get()).port;
};

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

TEST(Rendezvous, RanksOfOneHostShareMemory) {
  for (const uint32_t size : {1, 2, 7}) {
    Store store;
    for (const Status& status :
         run(store, contactsOf(store, size), [&](uint32_t rank, Rendezvous&meeting) -> Status {
           EXPECT_TRUE(meeting.sharesMemory());
           EXPECT_EQ(meeting.localSize(), size);
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

TEST(Rendezvous, RanksConnectToEachOther) {
  for (const uint32_t size : {1, 2, 3, 6}) {
    Store store;
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

// One rank of three does not fit; it hears why, and so do those that waited for it.
TEST(Rendezvous, WhoDoesNotFitIsRefusedByName) {
  struct Case {
    std::function<void(Contact&)> change;
    std::string reason;
  };
  const Case cases[] = {
      {[](Contact& c) { c.secret = "open barley"; }, "rank 2 has another DRUN_SECRET than rank 0"},
      {[](Contact& c) { c.size = 5; }, "rank 2 is one of 5 ranks, rank 0 of 3"},
      {[](Contact& c) { c.rank = 1; }, "rank 1: there is one already"},
      {[](Contact& c) { c.rank = 3; }, "rank 3 of 3: there is no such rank"},
  };
  for (const Case& one : cases) {
    Store store;
    std::vector<Contact> contacts = {store.contact(0, 3), store.contact(1, 3), store.contact(2, 3)};
    for (Contact& contact : contacts) contact.deadline = milliseconds(600);
    one.change(contacts[2]);
    std::thread late;
    std::vector<Status> results(3);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < 3; ++i) {
      threads.emplace_back([&, i] {
        if (i == 2) std::this_thread::sleep_for(milliseconds(200));
        const auto met = store.meet(contacts[i]);
        if (!met.ok()) results[i] = met.error();
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_FALSE(results[2].ok()) << one.reason;
    EXPECT_EQ(results[2].error().message.find(one.reason), 0u) << results[2].error().message;
    EXPECT_NE(results[0].error().message.find("no sign of rank 2"), std::string::npos);
    EXPECT_NE(results[0].error().message.find("refused: " + one.reason), std::string::npos)
        << results[0].error().message;
    EXPECT_EQ(results[0].error().message, results[1].error().message);
  }
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
