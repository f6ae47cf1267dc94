// Collectives among GPUs, one process per rank: whether they give what they must, and how long they
// take, by every transport there is. A line of JSON for each transport, call and payload:
//
//   device_collectives RANKS [MOST_BYTES]
//
// Rank r takes device r modulo their number. Sums over CUDA IPC and through host memory must be
// those in the order of ranks bit for bit, NCCL's the same bits on all ranks. Status 1: something
// differs or failed. With fewer devices than ranks the times say nothing: ranks take turns.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "runtime/backends/cuda/errors.h"
#include "runtime/backends/cuda/kernels.h"
#include "runtime/backends/cuda/peer_communicator.h"
#include "runtime/backends/cuda/staged_communicator.h"
#include "runtime/base/hash.h"
#include "runtime/collectives/nccl/nccl_communicator.h"
#include "runtime/collectives/shared_memory.h"
#include "runtime/collectives/sum.h"

namespace {

using namespace dcc;
using cuda::check;
using cuda::DeviceCommunicator;

constexpr int kCallsPerGraph = 20, kRounds = 9;

// What rank r gives; sums in another order differ.
float given(uint32_t r, size_t i) {
  const uint32_t x = (static_cast<uint32_t>(i) * 2654435761u) ^ ((r + 1) * 40503u);
  return static_cast<float>(x % 9973) * (x & 1 ? 1.0f : -1e3f);
}

// One rank's device memory and stream.
struct Device {
  float* in = nullptr;
  float* out = nullptr;
  float *zeros = nullptr, *ones = nullptr, *sum = nullptr;
  uint32_t* counter = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;

  Status prepare(uint32_t rank, size_t bytes, uint32_t ranks) {
    int devices = 0;
    DCC_RETURN_IF_ERROR(check(cudaGetDeviceCount(&devices), "devices"));
    DCC_RETURN_IF_ERROR(check(cudaSetDevice(static_cast<int>(rank) % devices), "a device"));
    DCC_RETURN_IF_ERROR(check(cudaMalloc(&in, bytes), "memory"));
    DCC_RETURN_IF_ERROR(check(cudaMalloc(&out, bytes * ranks), "memory"));
    const std::vector<float> of_ones(bytes / sizeof(float), 1.0f);
    for (float** memory : {&zeros, &ones, &sum}) {
      DCC_RETURN_IF_ERROR(check(cudaMalloc(memory, bytes), "memory"));
      DCC_RETURN_IF_ERROR(check(cudaMemset(*memory, 0, bytes), "memory"));
    }
    DCC_RETURN_IF_ERROR(
        check(cudaMemcpy(ones, of_ones.data(), bytes, cudaMemcpyHostToDevice), "memory"));
    DCC_RETURN_IF_ERROR(check(cudaMalloc(&counter, sizeof(*counter)), "memory"));
    DCC_RETURN_IF_ERROR(check(cudaMemset(counter, 0, sizeof(*counter)), "memory"));
    DCC_RETURN_IF_ERROR(check(cudaDeviceSynchronize(), "memory"));
    DCC_RETURN_IF_ERROR(
        check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream"));
    DCC_RETURN_IF_ERROR(check(cudaEventCreateWithFlags(&begin, cudaEventDefault), "an event"));
    return check(cudaEventCreateWithFlags(&end, cudaEventDefault), "an event");
  }
};

// A collective of `bytes` per rank, and what it must give.
struct Measured {
  const char* call;
  Status (*make)(DeviceCommunicator&, const Device&, size_t bytes);
  std::vector<float> (*expected)(uint32_t ranks, uint32_t rank, size_t bytes);
  // Whether the result is the same on all ranks, and how far it may be off where it is not exact.
  bool same;
  float tolerance;  // for each rank
};

// Terms of sums are below 1e7 in size, and every addition rounds once.
constexpr float kSumTolerance = 1e7f * 1.2e-7f, kNormTolerance = 1e-6f;

std::vector<float> sums(uint32_t ranks, size_t count) {
  std::vector<std::vector<float>> all(ranks, std::vector<float>(count));
  std::vector<const float*> parts;
  for (uint32_t r = 0; r < ranks; ++r) {
    for (size_t i = 0; i < count; ++i) all[r][i] = given(r, i);
    parts.push_back(all[r].data());
  }
  std::vector<float> out(count);
  sumInRankOrder(parts, out.data(), count);
  return out;
}

constexpr Measured kAllReduce = {
    "all-reduce",
    [](DeviceCommunicator& group, const Device& d, size_t bytes) {
      return group.allReduceSum(d.in, d.out, bytes / sizeof(float), SumOrder::kRanks, d.stream);
    },
    [](uint32_t ranks, uint32_t, size_t bytes) { return sums(ranks, bytes / sizeof(float)); }, true,
    kSumTolerance};

// A token's sum and the norm of it, as one launch and as two.
cuda::AddNorm normOf(const Device& d, size_t bytes) {
  const auto row = [&](float* data) {
    const auto cols = static_cast<int64_t>(bytes / sizeof(float));
    return Matrix{reinterpret_cast<std::byte*>(data), DType::kF32, 1, cols, cols};
  };
  return {row(d.zeros), row(d.sum), row(d.out), d.ones, 0};
}

std::vector<float> norms(uint32_t ranks, uint32_t, size_t bytes) {
  std::vector<float> all = sums(ranks, bytes / sizeof(float));
  double squares = 0;
  for (const float x : all) squares += static_cast<double>(x) * x;
  const double root = std::sqrt(squares / static_cast<double>(all.size()));
  for (float& x : all) x = static_cast<float>(x / root);
  return all;
}

constexpr Measured kSumWithNorm = {
    "all-reduce with norm",
    [](DeviceCommunicator& group, const Device& d, size_t bytes) {
      return group.allReduceAddNorm(d.in, normOf(d, bytes), {d.stream, false, d.counter});
    },
    norms, true, kNormTolerance};

constexpr Measured kSumThenNorm = {
    "all-reduce, norm",
    [](DeviceCommunicator& group, const Device& d, size_t bytes) {
      const cuda::AddNorm norm = normOf(d, bytes);
      const Status status =
          group.allReduceSum(d.in, d.sum, bytes / sizeof(float), SumOrder::kRanks, d.stream);
      cuda::addRmsNorm({d.stream}, norm.other, norm.sum, norm.weight, norm.eps, norm.sum, norm.out);
      return status;
    },
    norms, true, kNormTolerance};

constexpr Measured kAllGather = {
    "all-gather",
    [](DeviceCommunicator& group, const Device& d, size_t bytes) {
      return group.allGather(d.in, d.out, std::vector<size_t>(group.size(), bytes), d.stream);
    },
    [](uint32_t ranks, uint32_t, size_t bytes) {
      std::vector<float> all;
      for (uint32_t r = 0; r < ranks; ++r) {
        for (size_t i = 0; i < bytes / sizeof(float); ++i) all.push_back(given(r, i));
      }
      return all;
    },
    true, 0};

constexpr Measured kReduceScatter = {
    "reduce-scatter",
    [](DeviceCommunicator& group, const Device& d, size_t bytes) {
      const std::vector<size_t> counts(group.size(), bytes / sizeof(float) / group.size());
      return group.reduceScatterSum(d.in, d.out, counts, SumOrder::kRanks, d.stream);
    },
    [](uint32_t ranks, uint32_t rank, size_t bytes) {
      const std::vector<float> all = sums(ranks, bytes / sizeof(float));
      const size_t count = all.size() / ranks;
      return std::vector<float>(all.begin() + static_cast<ptrdiff_t>(rank * count),
                                all.begin() + static_cast<ptrdiff_t>((rank + 1) * count));
    },
    false, kSumTolerance};

// Error: the result in d.out is not what it must be.
Status compare(Communicator& host, const Measured& what, const Device& d, size_t bytes,
               bool exact) {
  const std::vector<float> expected = what.expected(host.size(), host.rank(), bytes);
  std::vector<float> got(expected.size());
  const size_t size = got.size() * sizeof(float);
  DCC_RETURN_IF_ERROR(
      check(cudaMemcpy(got.data(), d.out, size, cudaMemcpyDeviceToHost), "a result"));
  const std::string name = std::string(what.call) + " of " + std::to_string(bytes) + " bytes";
  if (exact) {
    if (std::memcmp(got.data(), expected.data(), size) == 0) return Status::success();
    return runtimeError(name + ": not what it must be, bit for bit");
  }
  for (size_t i = 0; i < got.size(); ++i) {
    if (!(std::abs(got[i] - expected[i]) <= what.tolerance * static_cast<float>(host.size()))) {
      return runtimeError(name + ": element " + std::to_string(i) + " is not what it must be");
    }
  }
  if (!what.same) return Status::success();
  const uint64_t own = hash64(std::as_bytes(std::span(got)));
  std::vector<uint64_t> all(host.size());
  const std::vector<size_t> sizes(host.size(), sizeof(own));
  DCC_RETURN_IF_ERROR(host.allGather(&own, all.data(), sizes));
  if (std::count(all.begin(), all.end(), own) == static_cast<ptrdiff_t>(host.size())) {
    return Status::success();
  }
  return runtimeError(name + ": ranks have different bits");
}

// Microseconds of one call, the best of several rounds.
Result<double> time(Communicator& host, DeviceCommunicator& group, const Measured& what,
                    const Device& d, size_t bytes) {
  cudaGraphExec_t exec = nullptr;
  if (group.capturable()) {
    cudaGraph_t graph = nullptr;
    DCC_RETURN_IF_ERROR(
        check(cudaStreamBeginCapture(d.stream, cudaStreamCaptureModeThreadLocal), "a capture"));
    for (int i = 0; i < kCallsPerGraph; ++i) DCC_RETURN_IF_ERROR(what.make(group, d, bytes));
    DCC_RETURN_IF_ERROR(check(cudaStreamEndCapture(d.stream, &graph), "a capture"));
    DCC_RETURN_IF_ERROR(check(cudaGraphInstantiate(&exec, graph), "a graph"));
    cudaGraphDestroy(graph);
  }
  float best = 1e30f;
  for (int round = 0; round < kRounds; ++round) {
    DCC_RETURN_IF_ERROR(host.barrier());
    DCC_RETURN_IF_ERROR(check(cudaEventRecord(d.begin, d.stream), "an event"));
    if (exec != nullptr) {
      DCC_RETURN_IF_ERROR(check(cudaGraphLaunch(exec, d.stream), "a graph"));
    } else {
      for (int i = 0; i < kCallsPerGraph; ++i) DCC_RETURN_IF_ERROR(what.make(group, d, bytes));
    }
    DCC_RETURN_IF_ERROR(check(cudaEventRecord(d.end, d.stream), "an event"));
    DeviceCommunicator* const groups[] = {&group};
    DCC_RETURN_IF_ERROR(cuda::waitFor(d.end, groups, std::chrono::seconds(60)));
    float milliseconds = 0;
    DCC_RETURN_IF_ERROR(check(cudaEventElapsedTime(&milliseconds, d.begin, d.end), "an event"));
    best = std::min(best, milliseconds);
  }
  if (exec != nullptr) cudaGraphExecDestroy(exec);
  return best * 1e3 / kCallsPerGraph;
}

Status measure(Communicator& host, DeviceCommunicator& group, const Device& d, size_t most,
               bool exact) {
  for (const Measured* what :
       {&kAllReduce, &kSumThenNorm, &kSumWithNorm, &kAllGather, &kReduceScatter}) {
    const bool norm = what->expected == norms;
    for (size_t bytes = 512; bytes <= most; bytes *= 2) {
      if (norm && !group.takesAddNorm(1, static_cast<int64_t>(bytes / sizeof(float)))) break;
      DCC_RETURN_IF_ERROR(what->make(group, d, bytes));
      DCC_RETURN_IF_ERROR(check(cudaStreamSynchronize(d.stream), what->call));
      DCC_RETURN_IF_ERROR(group.poll());
      DCC_RETURN_IF_ERROR(compare(host, *what, d, bytes, exact && !norm));
      DCC_ASSIGN(const double us, time(host, group, *what, d, bytes));
      if (host.rank() != 0) continue;
      std::printf(
          "{\"ranks\": %u, \"via\": \"%s\", \"call\": \"%s\", \"bytes\": %zu, \"us\": %.2f}\n",
          host.size(), std::string(group.name()).c_str(), what->call, bytes, us);
    }
  }
  return Status::success();
}

Status runRank(Communicator& host, size_t most) {
  Device device;
  DCC_RETURN_IF_ERROR(device.prepare(host.rank(), most, host.size()));
  std::vector<float> numbers(most / sizeof(float));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = given(host.rank(), i);
  DCC_RETURN_IF_ERROR(
      check(cudaMemcpy(device.in, numbers.data(), most, cudaMemcpyHostToDevice), "numbers"));
  DCC_ASSIGN(const auto cards, cuda::gatherCards(host, host.rank()));
  const auto refuse = [&](const char* via, std::string why) {
    if (host.rank() != 0) return;
    std::replace(why.begin(), why.end(), '"', '\'');
    std::printf("{\"ranks\": %u, \"via\": \"%s\", \"refused\": \"%s\"}\n", host.size(), via,
                why.c_str());
  };

  std::unique_ptr<DeviceCommunicator> none;
  DCC_ASSIGN(const auto peers, cuda::peerCommunicator(host, cards, {}, none));
  if (peers.communicator == nullptr) refuse("CUDA IPC", peers.refused);
  if (peers.communicator != nullptr) {
    DCC_RETURN_IF_ERROR(measure(host, *peers.communicator, device, most, true));
  }
  DCC_ASSIGN(const auto nccl, nccl::ncclCommunicator(host, cards, {}));
  if (nccl.communicator == nullptr) refuse("NCCL", nccl.refused);
  if (nccl.communicator != nullptr) {
    DCC_RETURN_IF_ERROR(measure(host, *nccl.communicator, device, most, false));
  }
  DCC_ASSIGN(const auto staged, cuda::stagedCommunicator(host));
  DCC_RETURN_IF_ERROR(measure(host, *staged, device, most, true));
  return host.barrier();
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, size_t otherwise) {
    return argc > i ? std::strtoul(argv[i], nullptr, 10) : otherwise;
  };
  const auto ranks = static_cast<uint32_t>(number(1, 2));
  const size_t most = number(2, size_t{16} << 20);
  const auto bytes = Region::bytesFor(ranks, Region::kDefaultSlotBytes);
  if (!bytes.ok() || ranks < 2 || most < 512 || argc > 3) {
    std::fprintf(stderr,
                 "usage: device_collectives RANKS [MOST_BYTES], of 2 or more and from 512 on\n");
    return 2;
  }
  void* at = ::mmap(nullptr, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return 1;
  const std::span memory(static_cast<std::byte*>(at), *bytes);
  if (!Region::format(memory, ranks, Region::kDefaultSlotBytes).ok()) return 1;
  // Nothing of CUDA has begun here, so that each process begins for itself.
  for (uint32_t r = 0; r < ranks; ++r) {
    if (::fork() != 0) continue;
    const auto host =
        std::move(sharedMemoryCommunicator(memory, r, ranks, {std::chrono::seconds(60), true}))
            .value();
    const Status status = runRank(*host, most);
    if (!status.ok()) {
      host->abort(status.error());
      std::fprintf(stderr, "error: rank %u: %s\n", r, status.error().message.c_str());
    }
    std::fflush(stdout);
    std::_Exit(status.ok() ? 0 : 1);
  }
  int result = 0;
  for (int status = 0; ::wait(&status) > 0;) result |= status != 0 ? 1 : 0;
  return result;
}
