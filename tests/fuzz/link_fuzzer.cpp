// Whatever a peer sends over TCP: payloads end where they belong, the link ends in one line or as
// lost, and then keeps still. Input: how long a payload we expect, how the bytes are cut; bytes.
#include <algorithm>
#include <vector>

#include "runtime/collectives/tcp_link.h"
#include "tests/fuzz/socket.h"

namespace {

using namespace dcc;

void check(const TcpLink& link) {
  if (!link.failure()) return;
  if (link.failure()->error.message.find('\n') != std::string::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const size_t expected = size_t{data[0]} * data[0];  // up to more than a link buffers
  const size_t cut = data[1] == 0 ? size : size_t{data[1]} * 8;
  const bool only_end = data[2] & 1, hears = data[2] & 2;  // between calls
  auto [own, peers] = fuzz::socketPair();
  const Whereabouts here;
  TcpLink link(std::move(own), 0, 1, here);
  const CallTag tag{static_cast<uint16_t>(Call::kAllReduce), 0, 0, expected};
  std::vector<uint8_t> payload;
  for (size_t at = 3; at < size; at += cut) {
    fuzz::say(peers.get(), {data + at, std::min(cut, size - at)});
    do {
      if (!link.receiving()) {
        if (hears) link.hear();
        payload.assign(expected, 0);
        payload.shrink_to_fit();  // so that a sanitizer sees a write past its end
        link.receive(tag, payload.data(), payload.size());
      }
    } while (link.advance());
    check(link);
  }
  if (only_end) link.awaitEnd();
  peers.reset();
  for (int steps = 0; !link.failure() && !link.lost(); ++steps) {
    if (!link.receiving()) link.receive(tag, payload.data(), payload.size());
    link.advance();
    if (steps > 1'000'000) std::abort();
  }
  check(link);
  if (link.advance()) std::abort();
  return 0;
}
