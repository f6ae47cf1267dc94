#include "runtime/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <bit>

namespace dcc {
namespace {

static_assert(std::endian::native == std::endian::little,
              "values are hashed as they lie in memory");

Hash fromXxh(XXH128_hash_t h) { return {h.low64, h.high64}; }

std::optional<unsigned> hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return std::nullopt;
}

}  // namespace

std::string Hash::hex() const {
  std::string digits(32, '0');
  for (int i = 0; i < 16; ++i) {
    digits[15 - i] = "0123456789abcdef"[hi >> (4 * i) & 15];
    digits[31 - i] = "0123456789abcdef"[lo >> (4 * i) & 15];
  }
  return digits;
}

std::optional<Hash> Hash::fromHex(std::string_view digits) {
  if (digits.size() != 32) return std::nullopt;
  Hash hash;
  for (size_t i = 0; i < 32; ++i) {
    std::optional<unsigned> digit = hexDigit(digits[i]);
    if (!digit) return std::nullopt;
    uint64_t& half = i < 16 ? hash.hi : hash.lo;
    half = half << 4 | *digit;
  }
  return hash;
}

Hash hashBytes(std::span<const uint8_t> bytes) {
  return fromXxh(XXH3_128bits(bytes.data(), bytes.size()));
}

uint64_t hash64(std::span<const std::byte> bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

struct Hasher::State {
  XXH3_state_t xxh;  // its type demands an alignment of 64, which new respects
};

Hasher::Hasher() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
Hasher::~Hasher() = default;

void Hasher::addRaw(const void* data, size_t size) {
  XXH3_128bits_update(&state_->xxh, data, size);
  size_ += size;
}

void Hasher::add(uint64_t value) { addRaw(&value, sizeof(value)); }
void Hasher::add(double value) { add(std::bit_cast<uint64_t>(value)); }
void Hasher::add(float value) { add(std::bit_cast<uint32_t>(value)); }

void Hasher::add(std::string_view text) {
  add(uint64_t{text.size()});
  addRaw(text.data(), text.size());
}

void Hasher::add(const Hash& hash) {
  add(hash.lo);
  add(hash.hi);
}

Hash Hasher::finish() const { return fromXxh(XXH3_128bits_digest(&state_->xxh)); }

}  // namespace dcc
