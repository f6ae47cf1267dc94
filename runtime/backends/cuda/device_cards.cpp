#include "runtime/backends/cuda/device_cards.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <random>
#include <string_view>

#include "runtime/backends/cuda/cuda.h"
#include "runtime/backends/cuda/errors.h"
#include "runtime/base/hash.h"

namespace dcc::cuda {
namespace {

// Numbers of processes repeat in containers, drawn ones in what a process forks.
uint64_t processToken() {
  static const uint64_t drawn = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
  }();
  return drawn + static_cast<uint64_t>(::getpid());
}

}  // namespace

bool DeviceCard::sameDevice(const DeviceCard& other) const {
  return host == other.host && std::string_view(bus) == std::string_view(other.bus);
}

Result<std::vector<DeviceCard>> gatherCards(Communicator& host, uint32_t number) {
  DeviceCard own;
  own.number = number;
  // Containers of one machine share it; names of hosts they may have of their own.
  std::string boot;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot);
  own.host = hash64(std::as_bytes(std::span(boot)));
  own.process = processToken();
  constexpr const char* kWhere = "this rank's device";
  DCC_RETURN_IF_ERROR(check(cudaGetDevice(&own.device), kWhere));
  DCC_RETURN_IF_ERROR(check(
      cudaDeviceGetAttribute(&own.processors, cudaDevAttrMultiProcessorCount, own.device), kWhere));
  DCC_RETURN_IF_ERROR(
      check(cudaDeviceGetPCIBusId(own.bus, static_cast<int>(sizeof(own.bus)), own.device), kWhere));
  std::vector<DeviceCard> cards(host.size());
  const std::vector<size_t> bytes(host.size(), sizeof(DeviceCard));
  DCC_RETURN_IF_ERROR(host.allGather(&own, cards.data(), bytes));
  return cards;
}

Result<std::string> agree(Communicator& host, const Status& own) {
  using Words = std::array<char, 256>;
  Words words = {};
  if (!own.ok()) {
    const std::string& message = own.error().message;
    std::memcpy(words.data(), message.data(), std::min(message.size(), words.size() - 1));
  }
  std::vector<Words> all(host.size());
  const std::vector<size_t> bytes(host.size(), sizeof(Words));
  DCC_RETURN_IF_ERROR(host.allGather(words.data(), all.data(), bytes));
  for (const Words& of : all) {
    if (of[0] != 0) return std::string(of.data());
  }
  return std::string();
}

}  // namespace dcc::cuda
