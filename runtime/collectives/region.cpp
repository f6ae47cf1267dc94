#include "runtime/collectives/region.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>

#include "runtime/base/checked.h"
#include "runtime/collectives/futex.h"

namespace dcc {
namespace {

constexpr char kMagic[8] = {'d', 'c', 'c', 'g', 'r', 'o', 'u', 'p'};
constexpr uint32_t kVersion = 2;
constexpr size_t kPage = 4096;

bool aligned(std::span<std::byte> memory) {
  return reinterpret_cast<uintptr_t>(memory.data()) % Region::kAlignment == 0;
}

}  // namespace

size_t Region::slotsOffset(uint32_t ranks) {
  return alignUp(sizeof(Header) + sizeof(Gate) + sizeof(FirstError) + ranks * sizeof(Member),
                 kPage);
}

Result<size_t> Region::bytesFor(uint32_t ranks, size_t slot_bytes) {
  if (ranks == 0 || ranks > kMaxRanks) {
    return userError("a group of " + std::to_string(ranks) + " ranks; 1 to " +
                     std::to_string(kMaxRanks) + " can share memory");
  }
  if (slot_bytes < ranks * kAlignment || slot_bytes > kMaxSlotBytes ||
      slot_bytes % kAlignment != 0) {
    return userError("slots of " + std::to_string(slot_bytes) + " bytes; a multiple of " +
                     std::to_string(kAlignment) + " from " + std::to_string(ranks * kAlignment) +
                     " to " + std::to_string(kMaxSlotBytes) + " is needed");
  }
  return slotsOffset(ranks) + size_t{ranks} * 2 * slot_bytes;  // at most 2^41
}

Result<size_t> Region::bytesWithParts(uint32_t ranks, size_t slot_bytes) {
  DCC_ASSIGN(const size_t whole, bytesFor(ranks, slot_bytes));
  // Parts of several ranks need less than as many of one.
  DCC_ASSIGN(const size_t one, bytesFor(1, slot_bytes));
  return whole + ranks * one;
}

Status Region::format(std::span<std::byte> memory, uint32_t ranks, size_t slot_bytes) {
  DCC_ASSIGN(const size_t bytes, bytesFor(ranks, slot_bytes));
  if (!aligned(memory) || memory.size() < bytes) {
    return runtimeError("shared region: " + std::to_string(memory.size()) + " bytes at an address" +
                        (aligned(memory) ? "" : " that is not aligned") + "; " +
                        std::to_string(bytes) + " are needed");
  }
  std::byte* at = memory.data();
  auto* header = new (at) Header{};
  auto* gate = new (at += sizeof(Header)) Gate{};
  auto* error = new (at += sizeof(Gate)) FirstError{};
  at += sizeof(FirstError);
  for (uint32_t r = 0; r < ranks; ++r) new (at + r * sizeof(Member)) Member{};
  gate->word = 0;
  error->state = 0;
  header->version = kVersion;
  header->ranks = ranks;
  header->slot_bytes = slot_bytes;
  header->bytes = bytes;
  std::memcpy(header->magic, kMagic, sizeof(kMagic));
  return Status::success();  // the slots are first touched by the ranks that own them
}

Result<Region> Region::open(std::span<std::byte> memory) {
  const auto refuse = [](const std::string& what) {
    return runtimeError("shared region: " + what + "; ranks and launcher must be the same build");
  };
  if (!aligned(memory) || memory.size() < sizeof(Header)) return refuse("no header");
  Header header;
  std::memcpy(&header, memory.data(), sizeof(Header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) return refuse("no group's memory");
  if (header.version != kVersion) return refuse("layout " + std::to_string(header.version));
  DCC_ASSIGN(const size_t bytes, bytesFor(header.ranks, header.slot_bytes));
  if (header.bytes != bytes || memory.size() < bytes) {
    return refuse(std::to_string(memory.size()) + " bytes where its layout has " +
                  std::to_string(bytes));
  }
  Region region;
  std::byte* at = memory.data() + sizeof(Header);
  region.ranks_ = header.ranks;
  region.bytes_ = bytes;
  region.slot_bytes_ = header.slot_bytes;
  region.gate_ = reinterpret_cast<Gate*>(at);
  region.error_ = reinterpret_cast<FirstError*>(at += sizeof(Gate));
  region.members_ = reinterpret_cast<Member*>(at += sizeof(FirstError));
  region.slots_ = memory.data() + slotsOffset(header.ranks);
  return region;
}

void Region::abort(const GroupError& why) const {
  uint32_t none = 0;
  if (error_->state.compare_exchange_strong(none, 1)) {
    const std::string& message = why.error.message;
    error_->rank = why.rank;
    error_->fault = static_cast<uint32_t>(why.error.fault);
    error_->lost = why.lost;
    error_->length = static_cast<uint32_t>(std::min(message.size(), sizeof(error_->message)));
    std::memcpy(error_->message, message.data(), error_->length);
    // Whole lines.
    const std::string_view details =
        std::string_view(why.details).substr(0, sizeof(error_->details));
    error_->details_length = static_cast<uint32_t>(details.rfind('\n') + 1);
    std::memcpy(error_->details, details.data(), error_->details_length);
    error_->state.store(2, std::memory_order_release);
  }
  // Also by later aborters: the first may have died before it came here.
  gate_->word.fetch_or(1);
  futexWakeAll(gate_->word);
}

std::vector<Sighting> Region::sightings() const {
  std::vector<Sighting> seen;
  for (uint32_t r = 0; r < ranks_; ++r) {
    seen.push_back({members_[r].whereabouts.read(), members_[r].missed.load() != 0});
  }
  return seen;
}

std::optional<GroupError> Region::firstError() const {
  if (error_->state.load(std::memory_order_acquire) != 2) return std::nullopt;
  const size_t length = std::min<size_t>(error_->length, sizeof(error_->message));
  const Fault fault =
      error_->fault == static_cast<uint32_t>(Fault::kUser) ? Fault::kUser : Fault::kRuntime;
  const size_t details = std::min<size_t>(error_->details_length, sizeof(error_->details));
  return GroupError{error_->rank, Error{std::string(error_->message, length), fault},
                    error_->lost != 0, std::string(error_->details, details)};
}

}  // namespace dcc
