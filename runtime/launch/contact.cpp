#include "runtime/launch/contact.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "runtime/base/hash.h"

namespace dcc::launch {
namespace {

// The socket that the ranks of a job meet at, all on this host: named by user and job, so that two
// jobs, or two users' of one name, do not meet.
std::string roomOf(const Place& place) {
  Hasher hasher;
  hasher.add(std::string_view(place.starter == nullptr ? "drun" : place.starter->name));
  hasher.add(std::string_view(place.job));
  return "drun-" + std::to_string(::geteuid()) + "-" + hasher.finish().hex();
}

}  // namespace

Contact contactOf(const Place& place, const MeetOptions& options) {
  Contact contact;
  contact.rank = place.rank;
  contact.size = place.world_size;
  const char* secret = std::getenv(kSecretVariable);
  contact.secret = secret == nullptr ? "" : secret;
  contact.deadline = options.deadline;
  contact.use_tcp = options.transport == Transport::kTcp;
  if (place.onOneHost() && !place.job.empty() && options.store_port == 0) {
    contact.room = roomOf(place);
    return contact;
  }
  contact.host = place.store_host.empty() ? "localhost" : place.store_host;
  contact.port = options.store_port != 0 ? options.store_port : place.store_port;
  return contact;
}

}  // namespace dcc::launch
