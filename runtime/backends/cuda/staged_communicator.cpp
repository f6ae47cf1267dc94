#include "runtime/backends/cuda/staged_communicator.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/backends/cuda/device_memory.h"

namespace dcc::cuda {
namespace {

// Each way. Large enough that copies and exchanges run at their speed, small beside the weights'
// staging memory.
constexpr size_t kStagingBytes = size_t{4} << 20;
// Of what several ranks have in staging memory side by side.
constexpr size_t kAlignment = 64;

class Staged final : public DeviceCommunicator {
 public:
  // Each has kStagingBytes.
  Staged(Communicator& host, PinnedMemory in, PinnedMemory out)
      : host_(host), in_(std::move(in)), out_(std::move(out)), sizes_(host.size()) {}

  uint32_t rank() const override { return host_.rank(); }
  uint32_t size() const override { return host_.size(); }
  std::string_view name() const override { return "host memory"; }

  Status allReduceSum(const float* in, float* out, size_t count, SumOrder order,
                      cudaStream_t stream) override;
  Status allGather(const void* in, void* out, std::span<const size_t> bytes,
                   cudaStream_t stream) override;
  Status reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                          SumOrder order, cudaStream_t stream) override;
  bool capturable() const override { return false; }
  Status poll() override { return host_.standBy(); }
  // Nothing waits on the device, and who waits in `host_` is woken by its own abort().
  void abort() override {}

 private:
  // Bytes of a rank's part that fit beside those of all others.
  size_t pieceBytes() const { return kStagingBytes / size() / kAlignment * kAlignment; }
  static size_t piece(size_t all, size_t done, size_t most) {
    return done < all ? std::min(most, all - done) : 0;
  }
  Status fetch(size_t at, const void* from, size_t bytes, cudaStream_t stream) {
    if (bytes == 0) return Status::success();
    return check(cudaMemcpyAsync(in_.data() + at, from, bytes, cudaMemcpyDeviceToHost, stream),
                 kWhere);
  }
  Status bring(void* to, size_t at, size_t bytes, cudaStream_t stream) {
    if (bytes == 0) return Status::success();
    return check(cudaMemcpyAsync(to, out_.data() + at, bytes, cudaMemcpyHostToDevice, stream),
                 kWhere);
  }
  static Status wait(cudaStream_t stream) { return check(cudaStreamSynchronize(stream), kWhere); }

  static constexpr const char* kWhere = "a collective through host memory";

  Communicator& host_;
  PinnedMemory in_;  // from the device
  PinnedMemory out_;
  std::vector<size_t> sizes_;  // of one exchange, by rank
};

Status Staged::allReduceSum(const float* in, float* out, size_t count, SumOrder order,
                            cudaStream_t stream) {
  constexpr size_t kMost = kStagingBytes / sizeof(float);
  size_t done = 0;
  do {
    const size_t n = piece(count, done, kMost);
    DCC_RETURN_IF_ERROR(fetch(0, in + done, n * sizeof(float), stream));
    DCC_RETURN_IF_ERROR(wait(stream));
    DCC_RETURN_IF_ERROR(host_.allReduceSum(reinterpret_cast<const float*>(in_.data()),
                                           reinterpret_cast<float*>(out_.data()), n, order));
    DCC_RETURN_IF_ERROR(bring(out + done, 0, n * sizeof(float), stream));
    done += kMost;
  } while (done < count);
  return wait(stream);
}

Status Staged::allGather(const void* in, void* out, std::span<const size_t> bytes,
                         cudaStream_t stream) {
  const size_t longest = *std::max_element(bytes.begin(), bytes.end()), most = pieceBytes();
  size_t done = 0;
  do {
    for (uint32_t r = 0; r < size(); ++r) sizes_[r] = piece(bytes[r], done, most);
    DCC_RETURN_IF_ERROR(fetch(0, static_cast<const std::byte*>(in) + done, sizes_[rank()], stream));
    DCC_RETURN_IF_ERROR(wait(stream));
    DCC_RETURN_IF_ERROR(host_.allGather(in_.data(), out_.data(), sizes_));
    auto* to = static_cast<std::byte*>(out) + done;
    size_t at = 0;
    for (uint32_t r = 0; r < size(); ++r) {
      DCC_RETURN_IF_ERROR(bring(to, at, sizes_[r], stream));
      at += sizes_[r];
      to += bytes[r];
    }
    done += most;
  } while (done < longest);
  return wait(stream);
}

Status Staged::reduceScatterSum(const float* in, float* out, std::span<const size_t> counts,
                                SumOrder order, cudaStream_t stream) {
  const size_t longest = *std::max_element(counts.begin(), counts.end());
  const size_t most = pieceBytes() / sizeof(float);
  size_t done = 0;
  do {
    const float* from = in + done;
    size_t at = 0;
    for (uint32_t r = 0; r < size(); ++r) {
      sizes_[r] = piece(counts[r], done, most);
      DCC_RETURN_IF_ERROR(fetch(at, from, sizes_[r] * sizeof(float), stream));
      at += sizes_[r] * sizeof(float);
      from += counts[r];
    }
    DCC_RETURN_IF_ERROR(wait(stream));
    DCC_RETURN_IF_ERROR(host_.reduceScatterSum(reinterpret_cast<const float*>(in_.data()),
                                               reinterpret_cast<float*>(out_.data()), sizes_,
                                               order));
    DCC_RETURN_IF_ERROR(bring(out + done, 0, sizes_[rank()] * sizeof(float), stream));
    done += most;
  } while (done < longest);
  return wait(stream);
}

}  // namespace

Result<std::unique_ptr<DeviceCommunicator>> stagedCommunicator(Communicator& host) {
  DCC_ASSIGN(PinnedMemory in, PinnedMemory::allocate(kStagingBytes));
  DCC_ASSIGN(PinnedMemory out, PinnedMemory::allocate(kStagingBytes));
  return std::unique_ptr<DeviceCommunicator>(
      std::make_unique<Staged>(host, std::move(in), std::move(out)));
}

}  // namespace dcc::cuda
