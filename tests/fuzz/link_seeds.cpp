// What a peer sends over TCP when all is well: seeds that never lag behind the frames.
#include <vector>

#include "runtime/collectives/tcp_link.h"
#include "tests/fuzz/socket.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  using namespace dcc;
  // The first bytes are link_fuzzer.cpp's.
  for (const uint8_t root : {0, 1, 16, 63}) {
    auto [own, peers] = fuzz::socketPair();
    const Whereabouts here;
    TcpLink link(std::move(own), 1, 0, here);
    const std::vector<char> payload(size_t{root} * root, 'x');
    link.send({static_cast<uint16_t>(Call::kAllReduce), 0, 0, payload.size()}, payload.data(),
              payload.size());
    while (link.busy()) link.advance();
    link.beat(true);
    link.sendEnd({1, runtimeError("prompt:3: no JSON"), root == 0});
    const std::string options = {static_cast<char>(root), '\7', static_cast<char>(root & 3)};
    fuzz::writeSeed(argv[1], "payload_" + std::to_string(payload.size()),
                    options + fuzz::heard(peers.get()));
  }
  return 0;
}
