#include "runtime/weights/loader.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>

#include "runtime/base/float_bits.h"
#include "runtime/base/safetensors.h"
#include "runtime/plan/access.h"
#include "tests/unit/plan/example_plan.h"
#include "tests/unit/temporary_directory.h"

namespace dcc {
namespace {

using plan::rows;
using plan::testing::ExampleOptions;
using plan::testing::examplePlans;
using testing::TemporaryDirectory;

// Memory for all weights of a plan.
struct Memory {
  explicit Memory(const plan::Plan& plan) {
    for (const auto* weight : rows(plan->weights()))
      storage.emplace_back(weightBytes(*weight), 0xaa);
    for (auto& weight : storage) spans.emplace_back(weight);
  }
  std::vector<std::vector<uint8_t>> storage;
  std::vector<std::span<uint8_t>> spans;
};

// All tensors of a checkpoint as f32, read in the simplest way.
std::map<std::string, std::vector<float>> readAll(const std::string& path) {
  std::map<std::string, std::vector<float>> tensors;
  std::string bytes = readFile(path, 1 << 30).value();
  SafetensorsHeader header = readSafetensorsHeader(path).value();
  for (const SafetensorsTensor& tensor : header.tensors) {
    DType type = *parseDType(tensor.dtype);
    std::vector<float>& values = tensors[tensor.name];
    for (uint64_t at = tensor.offset; at < tensor.offset + tensor.bytes; at += byteSize(type)) {
      uint16_t half;
      float full;
      std::memcpy(&half, bytes.data() + at, 2);
      if (type == DType::kF32) std::memcpy(&full, bytes.data() + at, 4);
      values.push_back(type == DType::kF32   ? full
                       : type == DType::kF16 ? f16ToF32(half)
                                             : bf16ToF32(half));
    }
  }
  return tensors;
}

std::vector<float> asF32(std::span<const uint8_t> bytes, DType type) {
  std::vector<float> values;
  for (size_t at = 0; at < bytes.size(); at += byteSize(type)) {
    uint16_t half;
    float full;
    std::memcpy(&half, bytes.data() + at, 2);
    if (type == DType::kF32) std::memcpy(&full, bytes.data() + at, 4);
    values.push_back(type == DType::kF32   ? full
                     : type == DType::kF16 ? f16ToF32(half)
                                           : bf16ToF32(half));
  }
  return values;
}

// Rows [begin, end) and columns [left, right) of a matrix with `cols` columns.
std::vector<float> cut(const std::vector<float>& matrix, size_t cols, size_t begin, size_t end,
                       size_t left, size_t right) {
  std::vector<float> out;
  for (size_t r = begin; r < end; ++r) {
    out.insert(out.end(), matrix.begin() + static_cast<long>(r * cols + left),
               matrix.begin() + static_cast<long>(r * cols + right));
  }
  return out;
}

plan::Plan packed(plan::fb::PlanT& plan) {
  return plan::Plan::fromBytes(plan::pack(plan), "rank.dplan").value();
}

// Loaded a few parts at a time, the weights are what they were as wholes.
void expectSameInParts(const plan::Plan& plan, const Memory& wholes, uint64_t elements) {
  Memory memory(plan);
  auto loader = WeightLoader::open(plan);
  ASSERT_TRUE(loader.ok()) << loader.error().message;
  std::vector<WeightPart> parts;
  for (uint32_t i = 0; i < memory.spans.size(); ++i) {
    const size_t unit = byteSize(static_cast<DType>(plan->weights()->Get(i)->dtype()));
    for (uint64_t first = 0; first * unit < memory.spans[i].size(); first += elements) {
      const size_t rest = memory.spans[i].size() - first * unit;
      parts.push_back({i, first * unit,
                       memory.spans[i].subspan(first * unit, std::min(rest, elements * unit))});
    }
  }
  uint64_t read = 0;
  const auto progress = [&](uint64_t done, uint64_t) { read = done; };
  for (size_t at = 0; at < parts.size(); at += 5) {
    const auto some = std::span(parts).subspan(at, std::min<size_t>(5, parts.size() - at));
    const Status status = loader->load(some, 2, progress);
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  EXPECT_EQ(read, loader->totalBytes());
  EXPECT_EQ(memory.storage, wholes.storage) << "parts of " << elements;
}

TEST(Loader, EveryRankGetsItsPartsInEveryType) {
  TemporaryDirectory dir;
  ASSERT_TRUE(plan::testing::writeExampleCheckpoint(dir.path()).ok());
  auto tensors = readAll(dir / "model.safetensors");
  const std::string layer = "model.layers.0.";
  for (uint32_t ranks : {1u, 2u, 4u}) {
    for (DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
      auto plans = examplePlans({.ranks = ranks, .weights = type, .checkpoint = dir.path()});
      for (uint32_t rank = 0; rank < ranks; ++rank) {
        plan::Plan plan = packed(plans[rank]);
        Memory memory(plan);
        auto loader = WeightLoader::open(plan);
        ASSERT_TRUE(loader.ok()) << loader.error().message;
        Status status = loader->load(wholeWeights(memory.spans), 2);
        ASSERT_TRUE(status.ok()) << status.error().message;

        const size_t q = 16 / ranks, v = 16 / ranks, kv_head = rank * 2 / ranks;
        const size_t kv_begin = kv_head * 4, kv_end = kv_begin + (ranks < 2 ? 8 : 4);
        EXPECT_EQ(asF32(memory.storage[0], type),
                  cut(tensors["model.embed_tokens.weight"], 8, rank * v, (rank + 1) * v, 0, 8));
        std::vector<float> qkv =
            cut(tensors[layer + "self_attn.q_proj.weight"], 8, rank * q, (rank + 1) * q, 0, 8);
        for (const char* name : {"self_attn.k_proj.weight", "self_attn.v_proj.weight"}) {
          auto part = cut(tensors[layer + name], 8, kv_begin, kv_end, 0, 8);
          qkv.insert(qkv.end(), part.begin(), part.end());
        }
        EXPECT_EQ(asF32(memory.storage[1], type), qkv);
        EXPECT_EQ(asF32(memory.storage[2], type), cut(tensors[layer + "self_attn.o_proj.weight"],
                                                      16, 0, 8, rank * q, (rank + 1) * q));
        EXPECT_EQ(asF32(memory.storage[7], DType::kF32), tensors["model.norm.weight"]);
        for (uint64_t elements : {1, 3, 7, 8, 20, 1000}) expectSameInParts(plan, memory, elements);
      }
    }
  }
}

// A checkpoint of one f32 tensor with values 0, 1, 2, ..., and a plan whose only used weight is put
// together from it; runs of all lengths against block and gap sizes.
class Strided {
 public:
  Strided(uint64_t rows, uint64_t cols, uint64_t left, uint64_t part, DType type)
      : rows_(rows), left_(left), part_(part), type_(type) {
    auto writer =
        SafetensorsWriter::create(dir_ / "model.safetensors", {{"w", DType::kF32, {rows, cols}}});
    for (uint64_t r = 0; r < rows; ++r) {
      std::vector<float> row(cols);
      for (uint64_t c = 0; c < cols; ++c) row[c] = value(r, c);
      EXPECT_TRUE(writer->write(0, r * cols, row).ok());
    }
    EXPECT_TRUE(writer->finish().ok());
    plan_ = std::move(examplePlans({.ranks = 1, .checkpoint = dir_.path()})[0]);
    SafetensorsHeader header = readSafetensorsHeader(dir_ / "model.safetensors").value();
    plan_.files[0]->bytes = header.file_bytes;
    *plan_.files[0]->header_hash = plan::fb::Hash128(header.hash.lo, header.hash.hi);
    const uint64_t offset = header.find("w")->offset;
    // All others read the first elements.
    for (auto& weight : plan_.weights) {
      weight->pieces.resize(1);
      plan::fb::PieceT& piece = *weight->pieces[0];
      piece.source_dtype = plan::fb::DType::f32;
      piece.source_offset = offset;
      piece.source_stride = 0;
      piece.run = 8;
      piece.count = weight->rows * weight->cols / 8;
      piece.dest_offset = 0;
      piece.dest_stride = 8;
    }
    auto weight = std::make_unique<plan::fb::WeightT>();
    weight->module_ = "w";
    weight->dtype = static_cast<plan::fb::DType>(type);
    weight->rows = rows;
    weight->cols = part;
    auto piece = std::make_unique<plan::fb::PieceT>();
    piece->tensor = "w";
    piece->source_offset = offset + left * 4;
    piece->source_stride = cols;
    piece->run = part;
    piece->count = rows;
    piece->dest_stride = part;
    weight->pieces.push_back(std::move(piece));
    plan_.weights.push_back(std::move(weight));
  }

  void check(uint32_t threads) {
    plan::Plan plan = packed(plan_);
    Memory memory(plan);
    auto loader = WeightLoader::open(plan);
    ASSERT_TRUE(loader.ok()) << loader.error().message;
    uint64_t last = 0;
    auto progress = [&](uint64_t done, uint64_t total) {
      EXPECT_GT(done, last);
      EXPECT_EQ(total, loader->totalBytes());
      last = done;
    };
    Status status = loader->load(wholeWeights(memory.spans), threads, progress);
    ASSERT_TRUE(status.ok()) << status.error().message;
    EXPECT_EQ(last, loader->totalBytes());
    std::vector<float> loaded = asF32(memory.storage.back(), type_);
    ASSERT_EQ(loaded.size(), rows_ * part_);
    for (uint64_t r = 0; r < rows_; ++r) {
      for (uint64_t c = 0; c < part_; ++c) {
        ASSERT_EQ(loaded[r * part_ + c], value(r, left_ + c)) << r << ", " << c;
      }
    }
    // Runs of 8 elements again and again from the same place.
    std::vector<float> repeated = asF32(memory.storage[2], DType::kF32);
    for (size_t i = 0; i < repeated.size(); ++i) ASSERT_EQ(repeated[i], value(0, i % 8));
    expectSameInParts(plan, memory, rows_ * part_ / 7 + 1);
  }

 private:
  // Exact in bf16 too.
  static float value(uint64_t r, uint64_t c) { return static_cast<float>((r * 7 + c * 3) % 251); }

  TemporaryDirectory dir_;
  uint64_t rows_, left_, part_;
  DType type_;
  plan::fb::PlanT plan_;
};

TEST(Loader, StridedPiecesOfAllSizes) {
  struct {
    uint64_t rows, cols, left, part;
  } cases[] = {
      {100, 64, 16, 8},          // small gaps: read together
      {3000, 256, 0, 128},       // more than one block
      {40, 20000, 5, 300},       // wide gaps: run by run
      {3, 700000, 100, 500000},  // runs longer than a block
      {4, 262144, 0, 262144},    // whole rows of exactly a block
      {1, 600000, 1, 599999},    // one long run
      {5, 9, 8, 1},              // single elements
  };
  for (const auto& c : cases) {
    for (DType type : {DType::kF32, DType::kBF16}) {
      Strided strided(c.rows, c.cols, c.left, c.part, type);
      for (uint32_t threads : {1u, 3u}) strided.check(threads);
    }
  }
}

class LoaderErrors : public ::testing::Test {
 protected:
  LoaderErrors() {
    EXPECT_TRUE(plan::testing::writeExampleCheckpoint(dir_.path()).ok());
    plans_ = examplePlans({.ranks = 1, .checkpoint = dir_.path()});
  }
  std::string openError() {
    auto loader = WeightLoader::open(packed(plans_[0]));
    return loader.ok() ? "" : loader.error().message;
  }
  TemporaryDirectory dir_;
  std::string path_ = dir_ / "model.safetensors";
  std::vector<plan::fb::PlanT> plans_;
};

TEST_F(LoaderErrors, AMissingFileIsNamedWithTheWayOut) {
  std::filesystem::remove(path_);
  std::string message = openError();
  EXPECT_EQ(message.rfind(path_ + ": cannot be read: No such file", 0), 0u) << message;
  EXPECT_NE(message.find("--checkpoint"), std::string::npos) << message;
}

TEST_F(LoaderErrors, AChangedSizeIsNamed) {
  ASSERT_EQ(::truncate(path_.c_str(), 3000), 0);
  EXPECT_NE(openError().find("model.safetensors: has 3000 bytes, not 4000"), std::string::npos);
}

TEST_F(LoaderErrors, AChangedHeaderIsNamed) {
  std::string bytes = readFile(path_, 1 << 20).value();
  bytes[bytes.find("lm_head")] = 'L';
  ASSERT_TRUE(writeFile(path_, bytes).ok());
  EXPECT_NE(openError().find("has another safetensors header"), std::string::npos);
}

TEST_F(LoaderErrors, AnotherCheckpointDirectoryIsUsed) {
  TemporaryDirectory other;
  std::filesystem::rename(path_, other / "model.safetensors");
  EXPECT_FALSE(WeightLoader::open(packed(plans_[0])).ok());
  EXPECT_TRUE(WeightLoader::open(packed(plans_[0]), other.path()).ok());
}

TEST_F(LoaderErrors, AFileTruncatedWhileLoadingIsARuntimeError) {
  plan::Plan plan = packed(plans_[0]);
  auto loader = WeightLoader::open(plan);
  ASSERT_TRUE(loader.ok());
  ASSERT_EQ(::truncate(path_.c_str(), 3500), 0);
  Memory memory(plan);
  Status status = loader->load(wholeWeights(memory.spans), 2);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kRuntime);
  EXPECT_NE(status.error().message.find(path_ + ": ends at byte 3500"), std::string::npos)
      << status.error().message;
  EXPECT_NE(status.error().message.find("(tensor lm_head.weight)"), std::string::npos);
}

TEST_F(LoaderErrors, PartsThatWeightsDoNotHaveAreRefused) {
  plan::Plan plan = packed(plans_[0]);
  auto loader = WeightLoader::open(plan);
  Memory memory(plan);
  const auto refused = [&](const WeightPart& part) {
    return !loader->load(std::span(&part, 1), 1).ok();
  };
  const std::span<uint8_t> whole = memory.spans[3];
  EXPECT_FALSE(refused({3, 0, whole}));
  EXPECT_FALSE(refused({3, 4, whole.subspan(4)}));
  EXPECT_TRUE(refused({3, 4, whole}));
  EXPECT_TRUE(refused({3, UINT64_MAX - 3, whole}));
  EXPECT_TRUE(refused({3, 2, whole.first(4)}));  // between two elements
  EXPECT_TRUE(refused({3, 0, whole.first(3)}));
  EXPECT_TRUE(refused({static_cast<uint32_t>(memory.spans.size()), 0, whole}));
}

}  // namespace
}  // namespace dcc
