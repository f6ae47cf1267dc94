// What ranks say to rank 0 and it to them: seeds that never lag behind the structures.
#include <vector>

#include "runtime/launch/greeting.h"
#include "tests/fuzz/socket.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  using namespace dcc;
  using namespace dcc::launch;
  // The first byte is rendezvous_fuzzer.cpp's.
  const std::string to_rank_0(1, '\0'), from_rank_0(1, '\1'), of_members(1, '\2'), hosts(1, '\3'),
      to_rank_1(1, '\4');
  std::string hellos;
  for (const uint32_t rank : {1, 2}) {
    const Hello hello = makeHello(rank, 3, "");
    hellos.append(reinterpret_cast<const char*>(&hello), sizeof(hello));
  }
  fuzz::writeSeed(argv[1], "hellos", to_rank_0 + hellos);
  fuzz::writeSeed(argv[1], "members", of_members + hellos);
  std::string peers;
  for (const uint32_t rank : {2, 3, 2}) {
    const PeerHello hello = makePeerHello(fuzz::kNonce, rank);
    peers.append(reinterpret_cast<const char*>(&hello), sizeof(hello));
  }
  fuzz::writeSeed(argv[1], "peers", to_rank_1 + peers);
  fuzz::writeSeed(argv[1], "hosts", hosts + "node[01-03,7]-x,other");
  fuzz::writeSeed(argv[1], "http", to_rank_0 + "GET / HTTP/1.1\r\n\r\n");

  const TimePoint soon = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  for (const bool welcome : {true, false}) {
    auto [own, peers] = fuzz::socketPair();
    if (welcome) {
      if (!sendTable(own.get(), std::vector<std::byte>(96), soon).ok()) return 1;
    } else {
      sendRefusal(own.get(), userError("/plan: no file"), soon);
    }
    const std::string answer = fuzz::heard(peers.get());
    fuzz::writeSeed(argv[1], welcome ? "table" : "refusal", from_rank_0 + answer);
    if (welcome) continue;
    Hello excused = makeHello(2, 3, "");
    excused.excused = 1;
    const std::string hello(reinterpret_cast<const char*>(&excused), sizeof(excused));
    fuzz::writeSeed(argv[1], "excuse", of_members + hello + answer);
  }
  return 0;
}
