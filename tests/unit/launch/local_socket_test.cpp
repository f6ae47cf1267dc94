#include "runtime/launch/local_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/launch/shared_mapping.h"

namespace dcc::launch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

TimePoint soon() { return steady_clock::now() + seconds(20); }

// One that no other test, and no other run of this one, has.
std::string ownName() { return "drun-test-" + std::to_string(::getpid()); }

TEST(LocalSocket, DescriptorsAreHandedOn) {
  const UniqueFd listener = std::move(listenLocally(ownName())).value();
  const UniqueFd guest = std::move(connectLocally(ownName(), soon())).value();
  const UniqueFd host(::accept(listener.get(), nullptr, nullptr));
  EXPECT_TRUE(isOfOurUser(guest.get()));
  EXPECT_TRUE(isOfOurUser(host.get()));
  const SharedMapping mapping = std::move(SharedMapping::create(4096)).value();
  mapping.memory()[7] = std::byte{42};
  ASSERT_TRUE(sendDescriptor(host.get(), mapping.fd(), soon()).ok());
  UniqueFd handed = std::move(receiveDescriptor(guest.get(), soon())).value();
  const SharedMapping same = std::move(SharedMapping::open(handed.release())).value();
  EXPECT_EQ(same.memory()[7], std::byte{42});
}

TEST(LocalSocket, ADescriptorThatDoesNotCome) {
  const UniqueFd listener = std::move(listenLocally(ownName())).value();
  const UniqueFd guest = std::move(connectLocally(ownName(), soon())).value();
  UniqueFd host(::accept(listener.get(), nullptr, nullptr));
  const auto late = receiveDescriptor(guest.get(), steady_clock::now() + milliseconds(50));
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().message, "no answer in time");
  // A byte, and no descriptor with it.
  ASSERT_EQ(::send(host.get(), "x", 1, 0), 1);
  EXPECT_FALSE(receiveDescriptor(guest.get(), soon()).ok());
  host.reset();
  EXPECT_EQ(receiveDescriptor(guest.get(), soon()).error().message, "the connection ended");
}

TEST(LocalSocket, ATakenNameSaysWhoHasIt) {
  const UniqueFd listener = std::move(listenLocally(ownName())).value();
  const auto again = listenLocally(ownName());
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().message, "rank 0: there is one already, process " +
                                       std::to_string(::getpid()) + "; one of each job is right");
}

TEST(LocalSocket, NobodyListens) {
  const auto fd = connectLocally(ownName(), steady_clock::now() + milliseconds(100));
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.error().message, "socket @" + ownName() + ": cannot be reached: Connection refused");
}

// The name of another user's listener: neither end takes it for ours.
TEST(LocalSocket, AnotherUsersIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be two users";
  constexpr uid_t kOther = 54321;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const std::string name = ownName();
  const pid_t other = ::fork();
  if (other == 0) {
    if (::setresuid(kOther, kOther, kOther) != 0) ::_exit(1);
    const auto listener = listenLocally(name);
    (void)!::write(ready[1], listener.ok() ? "y" : "n", 1);
    ::pause();
    ::_exit(0);
  }
  char said = 0;
  ASSERT_EQ(::read(ready[0], &said, 1), 1);
  EXPECT_EQ(said, 'y') << "the kernel lets no other user in here";
  for (const Error& error : {connectLocally(name, soon()).error(), listenLocally(name).error()}) {
    EXPECT_EQ(error.fault, Fault::kUser);
    EXPECT_EQ(error.message.find("socket @" + name + ": process " + std::to_string(other) +
                                 " of user 54321 has it"),
              0u)
        << error.message;
  }
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace dcc::launch
