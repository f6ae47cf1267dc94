#include "runtime/backends/cuda/peer_communicator.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "runtime/backends/cuda/errors.h"
#include "runtime/backends/cuda/peer_memory.h"
#include "runtime/backends/cuda/peer_self_test.h"
#include "runtime/collectives/call.h"

namespace dcc::cuda {
namespace {

// Every rank sends all it has to all others, its bytes doubled by the exchange's number; NCCL moves
// fewer and takes longer to begin. Up to so many bytes sent by a rank ours should win: what links
// of 400 GB/s carry in the 10 us or so that NCCL takes at least. An estimate, to be measured.
constexpr size_t kMostSent = size_t{4} << 20;

// Ranks come to the test together; longer only a link takes that does not work.
constexpr std::chrono::milliseconds kTestPatience{5'000};

class Peers final : public DeviceCommunicator {
 public:
  Peers(Communicator& host, std::span<const DeviceCard> cards, const DeviceGroupOptions& options,
        std::unique_ptr<PeerMemory> memory)
      : host_(host),
        cards_(cards.begin(), cards.end()),
        options_(options),
        memory_(std::move(memory)),
        group_(memory_->group()) {}

  uint32_t rank() const override { return group_.rank; }
  uint32_t size() const override { return group_.ranks; }
  std::string_view name() const override { return name_; }

  void setPatience(std::chrono::milliseconds time) {
    group_.patience = std::chrono::nanoseconds(time).count();
  }
  void giveLarge(std::unique_ptr<DeviceCommunicator> large) {
    if (large == nullptr) return;
    large_ = std::move(large);
    name_ += ", " + std::string(large_->name());
  }

  Status allReduceSum(const float* in, float* out, size_t elements, SumOrder order,
                      cudaStream_t stream) override {
    // Sums in a tree's order are ours alone.
    if (isLarge(elements * sizeof(float) * others()) && order == SumOrder::kRanks) {
      return carry([&] { return large_->allReduceSum(in, out, elements, order, stream); });
    }
    countSum(elements);
    peerAllReduce(on(stream), group_, in, out, elements, order);
    return launched();
  }
  Status allGather(const void* in, void* out, std::span<const size_t> bytes,
                   cudaStream_t stream) override {
    if (isLarge(*std::max_element(bytes.begin(), bytes.end()) * others())) {
      return carry([&] { return large_->allGather(in, out, bytes, stream); });
    }
    const size_t own = bytes[group_.rank];
    count({own * others(), std::accumulate(bytes.begin(), bytes.end(), size_t{0}) - own});
    peerAllGather(on(stream), group_, in, out, bytes.data());
    return launched();
  }
  Status reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                          SumOrder order, cudaStream_t stream) override {
    const size_t all = std::accumulate(counts.begin(), counts.end(), size_t{0});
    if (isLarge(all * sizeof(float)) && order == SumOrder::kRanks) {
      return carry([&] { return large_->reduceScatterSum(in, out, counts, order, stream); });
    }
    const size_t own = counts[group_.rank];
    count({(all - own) * sizeof(float), own * others() * sizeof(float)});
    peerReduceScatter(on(stream), group_, in, out, counts.data(), order);
    return launched();
  }

  Result<bool> mayAddNorm(bool own) override {
    if (!fuses_norms_) return false;
    std::vector<char> all(host_.size());
    const std::vector<size_t> bytes(all.size(), 1);
    const char word = own ? 1 : 0;
    DCC_RETURN_IF_ERROR(host_.allGather(&word, all.data(), bytes));
    return std::ranges::count(all, 0) == 0;
  }
  bool takesAddNorm(int64_t rows, int64_t cols) const override {
    return !isLarge(rows * cols * sizeof(float) * others()) && peerNormFits(group_, rows, cols);
  }
  Status allReduceAddNorm(const float* in, const AddNorm& norm, const Launch& launch) override {
    countSum(norm.sum.rows * norm.sum.cols);
    peerAllReduceAddNorm(launch, group_, in, norm);
    return launched();
  }
  void fuseNorms(bool fuse) { fuses_norms_ = fuse; }

  bool capturable() const override { return true; }

  Status poll() override {
    if (const uint32_t missing = memory_->missing()) {
      const uint32_t of[] = {cards_[missing - 1].number};
      return silenceError(of, options_.deadline);
    }
    if (memory_->stopped()) return runtimeError("collectives between GPUs were aborted");
    return large_ != nullptr ? large_->poll() : host_.standBy();
  }
  void beginStep() override {
    if (large_ != nullptr) large_->beginStep();
  }
  void beginInstruction(uint32_t instruction) override {
    group_.instruction = instruction;
    if (large_ != nullptr) large_->beginInstruction(instruction);
  }
  std::optional<uint32_t> failedAt() const override {
    if (memory_->missing() != 0) return memory_->missedBy();
    return large_ != nullptr ? large_->failedAt() : std::nullopt;
  }
  void abort() override {
    memory_->stop();
    if (large_ != nullptr) large_->abort();
  }

 private:
  size_t others() const { return group_.ranks - 1; }
  void countSum(size_t elements) {
    const uint64_t bytes = elements * sizeof(float) * others();
    count({bytes, bytes});
  }
  // A call of `large_`, whose traffic is this one's.
  template <class Call>
  Status carry(const Call& call) {
    const Traffic before = large_->traffic();
    Status status = call();
    count(large_->traffic() - before);
    return status;
  }
  bool isLarge(size_t sent) const { return large_ != nullptr && 2 * sent > kMostSent; }
  Launch on(cudaStream_t stream) const { return {stream, options_.overlap}; }
  static Status launched() { return check(cudaGetLastError(), "a collective's launch"); }

  Communicator& host_;
  std::vector<DeviceCard> cards_;
  DeviceGroupOptions options_;
  std::unique_ptr<PeerMemory> memory_;
  PeerGroup group_;
  std::unique_ptr<DeviceCommunicator> large_;
  bool fuses_norms_ = true;
  std::string name_ = "CUDA IPC";
};

// Why these ranks are no peers; "" when they may be.
std::string unfit(std::span<const DeviceCard> cards) {
  if (cards.size() > kMaxPeers) return "there are more ranks than " + std::to_string(kMaxPeers);
  for (const DeviceCard& card : cards) {
    if (card.host != cards[0].host) return "ranks are on several hosts";
  }
  return "";
}

// So many that the blocks of all ranks of a device run at once, and the same on all ranks.
uint32_t blocksThatFit(std::span<const DeviceCard> cards, uint32_t most) {
  for (const DeviceCard& card : cards) {
    const auto sharing = static_cast<uint32_t>(
        std::count_if(cards.begin(), cards.end(),
                      [&](const DeviceCard& other) { return card.sameDevice(other); }));
    most = std::min(most, std::max(static_cast<uint32_t>(card.processors) / sharing, 1u));
  }
  return most;
}

}  // namespace

Result<PeerAttempt> peerCommunicator(Communicator& host, std::span<const DeviceCard> cards,
                                     const DeviceGroupOptions& options,
                                     std::unique_ptr<DeviceCommunicator>& large,
                                     const PeerShape& shape) {
  std::string refused = unfit(cards);
  if (!refused.empty()) return PeerAttempt{nullptr, std::move(refused), true};
  auto memory = std::make_unique<PeerMemory>();
  const uint32_t blocks = blocksThatFit(cards, shape.blocks);
  DCC_ASSIGN(refused, memory->open(host, cards, blocks, shape.threads));
  if (!refused.empty()) return PeerAttempt{nullptr, std::move(refused), false};
  auto peers = std::make_unique<Peers>(host, cards, options, std::move(memory));
  peers->setPatience(std::min(options.deadline, kTestPatience));
  DCC_ASSIGN(refused, agree(host, testCollectives(
                                      *peers, size_t{blocks} * shape.threads * kWordsPerThread)));
  if (!refused.empty()) return PeerAttempt{nullptr, std::move(refused), false};
  if (options.fuse_norms == FuseNorms::kMeasured) {
    DCC_ASSIGN(const bool faster, isFusedNormFaster(*peers, host, options.overlap));
    peers->fuseNorms(faster);
  } else {
    peers->fuseNorms(options.fuse_norms == FuseNorms::kAlways);
  }
  peers->setPatience(options.deadline);
  peers->giveLarge(std::move(large));
  return PeerAttempt{std::move(peers), "", false};
}

}  // namespace dcc::cuda
