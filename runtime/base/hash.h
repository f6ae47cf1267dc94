// XXH3-128: fast, stable across machines and versions, no protection against an adversary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dcc {

struct Hash {
  uint64_t lo = 0, hi = 0;
  bool operator==(const Hash&) const = default;
  std::string hex() const;  // 32 digits, hi first
  // The inverse of hex(); nothing for any other text.
  static std::optional<Hash> fromHex(std::string_view digits);
};

Hash hashBytes(std::span<const uint8_t> bytes);
// XXH3-64, the same promises. Chained by `seed`, the hash of what came before.
uint64_t hash64(std::span<const std::byte> bytes, uint64_t seed = 0);

// Hashes a sequence of values. Each is written with a fixed width or its length in front, little
// endian, so that different sequences of the same kinds never give the same bytes.
class Hasher {
 public:
  Hasher();
  ~Hasher();

  void add(uint64_t value);
  void add(int64_t value) { add(static_cast<uint64_t>(value)); }
  void add(uint32_t value) { add(uint64_t{value}); }
  void add(int32_t value) { add(int64_t{value}); }
  void add(double value);  // its bits
  void add(float value);
  void add(std::string_view text);
  void add(const Hash& hash);

  // Bytes hashed so far.
  uint64_t size() const { return size_; }
  Hash finish() const;

 private:
  struct State;
  void addRaw(const void* data, size_t size);
  std::unique_ptr<State> state_;
  uint64_t size_ = 0;
};

}  // namespace dcc
