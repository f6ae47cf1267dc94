#include "runtime/collectives/traffic.h"

#include <numeric>

#include "runtime/collectives/shares.h"
#include "runtime/collectives/tcp_link.h"

namespace dcc {
namespace {

bool overTcp(const GroupShape& group) { return group.transport == TransportKind::kTcp; }

uint64_t total(std::span<const size_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

// Elements of a sum that are exchanged at a time.
size_t chunkOf(const GroupShape& group, bool by_shares) {
  if (!overTcp(group)) return group.slot_bytes / sizeof(float);
  return (by_shares ? group.ranks : 1) * kTcpChunkBytes / sizeof(float);
}

}  // namespace

Traffic allReduceTraffic(const GroupShape& group, size_t count) {
  const bool by_shares = sumsByShares(group.ranks, count * sizeof(float));
  const uint64_t peers = group.ranks - 1;
  const auto elements = [&](uint64_t n) -> Traffic {
    if (!by_shares) return {overTcp(group) ? n * peers : n, n * peers};
    // Contributions to shares, then the shares' sums.
    const uint64_t own = Shares(n, group.ranks).size(group.rank);
    return {overTcp(group) ? (n - own) + own * peers : n + own, own * peers + (n - own)};
  };
  const size_t chunk = chunkOf(group, by_shares);
  const Traffic each = elements(chunk), last = elements(count % chunk);
  return {(count / chunk * each.sent + last.sent) * sizeof(float),
          (count / chunk * each.received + last.received) * sizeof(float)};
}

Traffic allGatherTraffic(const GroupShape& group, std::span<const size_t> bytes) {
  const uint64_t own = bytes[group.rank];
  return {overTcp(group) ? own * (group.ranks - 1) : own, total(bytes) - own};
}

Traffic reduceScatterTraffic(const GroupShape& group, std::span<const size_t> counts) {
  const uint64_t own = counts[group.rank], all = total(counts);
  // In shared memory a rank's own part takes the same way as the others'.
  return {(overTcp(group) ? all - own : all) * sizeof(float),
          own * (group.ranks - 1) * sizeof(float)};
}

Traffic allToAllTraffic(const GroupShape& group, std::span<const size_t> bytes) {
  Traffic traffic;
  for (uint32_t r = 0; r < group.ranks; ++r) {
    traffic.sent += bytes[group.rank * group.ranks + r];
    traffic.received += bytes[r * group.ranks + group.rank];
  }
  return traffic;
}

size_t communicatorBytes(const GroupShape& group) {
  if (group.ranks == 1) return 0;
  if (overTcp(group)) return (group.ranks - 1) * sizeof(TcpLink);
  const Result<size_t> bytes = Region::bytesFor(group.ranks, group.slot_bytes);
  return bytes.ok() ? *bytes : 0;
}

TcpScratch allReduceScratch(const GroupShape& group, size_t count, bool in_place) {
  if (!overTcp(group)) return {};
  const bool by_shares = sumsByShares(group.ranks, count * sizeof(float));
  size_t n = std::min(count, chunkOf(group, by_shares));
  if (by_shares) n = Shares(n, group.ranks).size(group.rank);
  return {n * sizeof(float), in_place ? n * sizeof(float) : 0};
}

TcpScratch reduceScatterScratch(const GroupShape& group, std::span<const size_t> counts) {
  if (!overTcp(group)) return {};
  return {counts[group.rank] * sizeof(float), 0};
}

}  // namespace dcc
