// The tuning file: which way of making a product was measured to be the fastest, on which kind of
// device and with which library. It lies beside a plan and may be missing, old, or anybody's.
//
// JSON, version 1:
//   {"format": "dcc-tuning", "version": 1, "sets": [
//     {"device": "NVIDIA H200", "library": "cuBLASLt 13.1.0", "products": [
//       {"rows": 8, "n": 4096, "k": 4096, "a": "bf16", "weight": "bf16", "out": "f32",
//        "bias": false, "by": "library", "algorithm": "0123456789abcdef", "microseconds": 8.5}]}]}
// `rows` is a class of rows (rowsClass()). `by`: "gemv", "tiles" or "library"; with the latter
// `algorithm` is the library's (MatrixLibrary::algorithms), 16 hexadecimal digits. A file says
// nothing that is trusted: an algorithm is only taken if the library offers it.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/base/status.h"

namespace dcc::cuda {

// Rows for which one measurement stands: each number up to 8, then powers of two, the next larger.
int64_t rowsClass(int64_t rows);

// Products that one measurement stands for; `rows` is a class.
struct ProductKey {
  int64_t rows = 0, n = 0, k = 0;
  DType a = DType::kF32, weight = DType::kF32, out = DType::kF32;
  bool bias = false;

  auto operator<=>(const ProductKey&) const = default;
};

enum class ProductBy : uint8_t { kGemv, kTiles, kLibrary };

struct TunedProduct {
  ProductKey key;
  ProductBy by = ProductBy::kLibrary;
  uint64_t algorithm = 0;  // with kLibrary
  double microseconds = 0;

  bool operator==(const TunedProduct&) const = default;
};

struct TuningSet {
  std::string device;   // as the driver names it
  std::string library;  // MatrixLibrary::name()
  std::vector<TunedProduct> products;

  const TunedProduct* find(const ProductKey& key) const;
  // Replaces what there was for the key.
  void add(const TunedProduct& product);
  bool operator==(const TuningSet&) const = default;
};

struct Tuning {
  std::vector<TuningSet> sets;
  // What was not understood and left out, a line each: for the user.
  std::vector<std::string> notes;

  // The set of this device and library; null, with a note if there are others of the device.
  const TuningSet* find(std::string_view device, std::string_view library);
  TuningSet& findOrAdd(std::string_view device, std::string_view library);
};

// `name` begins errors and notes. What a newer version says is left out with a note; an error
// (user) is a text that is no tuning file.
Result<Tuning> parseTuning(std::string_view text, const std::string& name);
std::string tuningText(const Tuning& tuning);

// Empty where there is no such file. Errors: parseTuning's, and those of reading and writing.
Result<Tuning> readTuning(const std::string& path);
Status writeTuning(const std::string& path, const Tuning& tuning);

}  // namespace dcc::cuda
