#include "runtime/backends/cuda/tuning.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <set>
#include <utility>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/new_file.h"

namespace dcc::cuda {
namespace {

using nlohmann::json;

constexpr int64_t kVersion = 1;
constexpr uint64_t kMaxBytes = 16ull << 20;
constexpr int64_t kLargest = int64_t{1} << 40;                       // of rows, n and k
constexpr std::string_view kNames[] = {"gemv", "tiles", "library"};  // of ProductBy

std::string hex(uint64_t number) {
  char digits[17];
  std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(number));
  return digits;
}

std::optional<uint64_t> fromHex(std::string_view digits) {
  uint64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  const bool all = error == std::errc() && end == digits.data() + digits.size();
  if (!all || digits.size() != 16) return std::nullopt;
  return number;
}

Result<DType> typeField(const JsonFields& fields, std::string_view key) {
  DCC_ASSIGN(const std::string name, fields.string(key));
  for (DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
    if (name == dcc::name(type)) return type;
  }
  return fields.error(key, "is none of f32, bf16 and f16");
}

// Nothing, with a note, for a way that this version does not know.
Result<std::optional<TunedProduct>> parseProduct(const JsonFields& fields, Tuning& tuning) {
  TunedProduct product;
  DCC_ASSIGN(product.key.rows, fields.integer("rows", 1, kLargest));
  if (product.key.rows != rowsClass(product.key.rows)) {
    return fields.error("rows", "is none of 1 to 8, 16, 32, 64, ...");
  }
  DCC_ASSIGN(product.key.n, fields.integer("n", 1, kLargest));
  DCC_ASSIGN(product.key.k, fields.integer("k", 1, kLargest));
  DCC_ASSIGN(product.key.a, typeField(fields, "a"));
  DCC_ASSIGN(product.key.weight, typeField(fields, "weight"));
  DCC_ASSIGN(product.key.out, typeField(fields, "out"));
  DCC_ASSIGN(product.key.bias, fields.boolean("bias"));
  DCC_ASSIGN(product.microseconds, fields.number("microseconds"));
  if (!(product.microseconds >= 0 && std::isfinite(product.microseconds))) {
    return fields.error("microseconds", "is no time");
  }
  DCC_ASSIGN(const std::string by, fields.string("by"));
  const auto* const known = std::find(std::begin(kNames), std::end(kNames), by);
  if (known == std::end(kNames)) {
    tuning.notes.push_back(
        fields.error("by", "is none of gemv, tiles and library; left out").message);
    return std::optional<TunedProduct>();
  }
  product.by = static_cast<ProductBy>(known - std::begin(kNames));
  if (product.by == ProductBy::kLibrary) {
    DCC_ASSIGN(const std::string digits, fields.string("algorithm"));
    const std::optional<uint64_t> algorithm = fromHex(digits);
    if (!algorithm) return fields.error("algorithm", "is not 16 hexadecimal digits");
    product.algorithm = *algorithm;
  }
  return std::optional(product);
}

Status parseSet(const JsonFields& fields, Tuning& tuning) {
  TuningSet set;
  DCC_ASSIGN(set.device, fields.string("device"));
  DCC_ASSIGN(set.library, fields.string("library"));
  for (const TuningSet& other : tuning.sets) {
    if (other.device == set.device && other.library == set.library) {
      return fields.error("device", "and library are those of another set");
    }
  }
  DCC_ASSIGN(const json* const products, fields.array("products"));
  std::set<ProductKey> keys;
  for (size_t i = 0; i < products->size(); ++i) {
    DCC_ASSIGN(const JsonFields one, JsonFields::of((*products)[i], fields.where() + ": products[" +
                                                                        std::to_string(i) + "]"));
    DCC_ASSIGN(const std::optional<TunedProduct> product, parseProduct(one, tuning));
    if (!product) continue;
    if (!keys.insert(product->key).second) {
      return userError(one.where() + ": is there twice; one line for each product is expected");
    }
    set.products.push_back(*product);
  }
  tuning.sets.push_back(std::move(set));
  return Status::success();
}

}  // namespace

int64_t rowsClass(int64_t rows) {
  return rows <= 8 ? rows : static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)));
}

const TunedProduct* TuningSet::find(const ProductKey& key) const {
  for (const TunedProduct& product : products) {
    if (product.key == key) return &product;
  }
  return nullptr;
}

void TuningSet::add(const TunedProduct& product) {
  for (TunedProduct& old : products) {
    if (old.key == product.key) {
      old = product;
      return;
    }
  }
  products.push_back(product);
}

const TuningSet* Tuning::find(std::string_view device, std::string_view library) {
  const TuningSet* other = nullptr;
  for (const TuningSet& set : sets) {
    if (set.device != device) continue;
    if (set.library == library) return &set;
    other = &set;
  }
  if (other != nullptr) {
    notes.push_back("what was measured on " + other->device + " was with " + other->library +
                    ", not with " + std::string(library) +
                    ", and is not used; `drun DIR tune` measures again");
  }
  return nullptr;
}

TuningSet& Tuning::findOrAdd(std::string_view device, std::string_view library) {
  for (TuningSet& set : sets) {
    if (set.device == device && set.library == library) return set;
  }
  sets.push_back({std::string(device), std::string(library), {}});
  return sets.back();
}

Result<Tuning> parseTuning(std::string_view text, const std::string& name) {
  DCC_ASSIGN(const json value, parseJson(text, name, {.depth = 8, .bytes = kMaxBytes}));
  DCC_ASSIGN(const JsonFields file, JsonFields::of(value, name));
  DCC_ASSIGN(const std::string format, file.string("format"));
  if (format != "dcc-tuning") {
    return file.error("format", "is another; \"dcc-tuning\" is expected");
  }
  DCC_ASSIGN(const int64_t version, file.integer("version", 1));
  Tuning tuning;
  if (version != kVersion) {
    tuning.notes.push_back(name + ": is of version " + std::to_string(version) +
                           ", and this program reads version 1; it is not used");
    return tuning;
  }
  DCC_ASSIGN(const json* const sets, file.array("sets"));
  for (size_t i = 0; i < sets->size(); ++i) {
    DCC_ASSIGN(const JsonFields set,
               JsonFields::of((*sets)[i], name + ": sets[" + std::to_string(i) + "]"));
    DCC_RETURN_IF_ERROR(parseSet(set, tuning));
  }
  return tuning;
}

std::string tuningText(const Tuning& tuning) {
  // A line for each product, so that files can be compared by eye.
  std::string text = R"({"format": "dcc-tuning", "version": 1, "sets": [)";
  const char* between_sets = "\n";
  for (const TuningSet& set : tuning.sets) {
    text += between_sets + (R"( {"device": )" + json(set.device).dump() + R"(, "library": )") +
            json(set.library).dump() + R"(, "products": [)";
    between_sets = ",\n";
    const char* between = "\n";
    for (const TunedProduct& p : set.products) {
      nlohmann::ordered_json line = {{"rows", p.key.rows},
                                     {"n", p.key.n},
                                     {"k", p.key.k},
                                     {"a", dcc::name(p.key.a)},
                                     {"weight", dcc::name(p.key.weight)},
                                     {"out", dcc::name(p.key.out)},
                                     {"bias", p.key.bias},
                                     {"by", kNames[static_cast<size_t>(p.by)]}};
      if (p.by == ProductBy::kLibrary) line["algorithm"] = hex(p.algorithm);
      line["microseconds"] = p.microseconds;
      text += between + ("  " + line.dump());
      between = ",\n";
    }
    text += "]}";
  }
  return text + "]}\n";
}

Result<Tuning> readTuning(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return Tuning();
  DCC_ASSIGN(const std::string text, readFile(path, kMaxBytes));
  return parseTuning(text, path);
}

Status writeTuning(const std::string& path, const Tuning& tuning) {
  DCC_ASSIGN(NewFile file, NewFile::create(path));
  DCC_RETURN_IF_ERROR(writeAll(file.fd(), tuningText(tuning), path));
  return file.finish();
}

}  // namespace dcc::cuda
