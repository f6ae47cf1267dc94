// The tuning file, and the choice it holds.
#include "runtime/backends/cuda/tuning.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "cuda_test_support.h"
#include "runtime/backends/cuda/products.h"
#include "runtime/backends/cuda/tuner.h"

namespace dcc::cuda {
namespace {

using testing::DeviceBytes;
using testing::DeviceMatrix;
using testing::TestMatrix;

constexpr ProductKey kKey = {8, 4096, 14336, DType::kBF16, DType::kBF16, DType::kF32, true};

Tuning someTuning() {
  Tuning tuning;
  TuningSet& set = tuning.findOrAdd("NVIDIA H200", "cuBLASLt 13.1.0");
  set.add({kKey, ProductBy::kLibrary, 0x0123456789abcdef, 8.5});
  set.add({{1, 10, 20, DType::kF32, DType::kF16, DType::kF32, false}, ProductBy::kGemv, 0, 0.1});
  set.add({{64, 3, 1, DType::kF16, DType::kF16, DType::kF16, false}, ProductBy::kTiles, 0, 3});
  tuning.findOrAdd("a \"card\"", "tiles");
  return tuning;
}

TEST(Tuning, RowsClasses) {
  for (int64_t rows : {1, 2, 3, 7, 8, 16, 32, 4096}) EXPECT_EQ(rowsClass(rows), rows);
  EXPECT_EQ(rowsClass(9), 16);
  EXPECT_EQ(rowsClass(1025), 2048);
}

TEST(Tuning, WhatIsWrittenIsRead) {
  const Tuning tuning = someTuning();
  Result<Tuning> read = parseTuning(tuningText(tuning), "t.json");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->sets, tuning.sets);
  EXPECT_TRUE(read->notes.empty());
  const TuningSet* set = read->find("NVIDIA H200", "cuBLASLt 13.1.0");
  ASSERT_NE(set, nullptr);
  ASSERT_NE(set->find(kKey), nullptr);
  EXPECT_EQ(set->find(kKey)->algorithm, 0x0123456789abcdefu);
  ProductKey other = kKey;
  other.bias = false;
  EXPECT_EQ(set->find(other), nullptr);
}

TEST(Tuning, AFileIsReplaced) {
  const std::string path = ::testing::TempDir() + "dcc_tuning_test.json";
  std::filesystem::remove(path);
  Result<Tuning> none = readTuning(path);
  ASSERT_TRUE(none.ok());
  EXPECT_TRUE(none->sets.empty());
  ASSERT_TRUE(writeTuning(path, someTuning()).ok());
  Tuning changed = someTuning();
  TunedProduct better = *changed.sets[0].find(kKey);
  better.microseconds = 7;
  changed.sets[0].add(better);
  EXPECT_EQ(changed.sets[0].products.size(), 3u);
  ASSERT_TRUE(writeTuning(path, changed).ok());
  Result<Tuning> read = readTuning(path);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->sets, changed.sets);
  std::filesystem::remove(path);
}

// Each text with something wrong, and a part of the message.
TEST(Tuning, WhatIsNoTuningFileIsAnError) {
  const std::string good = tuningText(someTuning());
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const std::pair<std::string, std::string> cases[] = {
      {"", "t.json:1:1: "},
      {"[]", "an object is expected"},
      {R"({"format": "other"})", "\"dcc-tuning\" is expected"},
      {with("\"version\": 1", "\"version\": 0"), "version"},
      {with("\"rows\":8", "\"rows\":0"), "sets[0]: products[0]: rows"},
      {with("\"rows\":8", "\"rows\":9"), "8, 16, 32"},
      {with("\"k\":14336", "\"k\":1e300"), "products[0]: k"},
      {with("\"a\":\"bf16\"", "\"a\":\"i32\""), "f32, bf16 and f16"},
      {with("0123456789abcdef", "0123456789abcde"), "16 hexadecimal digits"},
      {with("0123456789abcdef", "-123456789abcdef"), "16 hexadecimal digits"},
      {with("\"microseconds\":8.5", "\"microseconds\":-1"), "no time"},
      {with("\"rows\":64,\"n\":3,\"k\":1,\"a\":\"f16\"",
            "\"rows\":1,\"n\":10,\"k\":20,\"a\":\"f32\""),
       ""},
      {with("a \\\"card\\\"\", \"library\": \"tiles",
            "NVIDIA H200\", \"library\": \"cuBLASLt 13.1.0"),
       "another set"},
  };
  for (const auto& [text, message] : cases) {
    const Result<Tuning> read = parseTuning(text, "t.json");
    if (message.empty()) {
      EXPECT_TRUE(read.ok());  // the key differs still, by weight's and out's types
      continue;
    }
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_NE(read.error().message.find(message), std::string::npos) << read.error().message;
    EXPECT_EQ(read.error().fault, Fault::kUser);
  }
  std::string twice = good;
  const size_t line = twice.find("  {"), end = twice.find('\n', line);
  twice.insert(line, twice.substr(line, end + 1 - line));
  const Result<Tuning> read = parseTuning(twice, "t.json");
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.error().message.find("is there twice"), std::string::npos);
}

TEST(Tuning, WhatIsUnknownOrOldIsLeftOutAloud) {
  std::string text = tuningText(someTuning());
  text.replace(text.find("\"gemv\""), 6, "\"magic\"");
  Result<Tuning> read = parseTuning(text, "t.json");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->sets[0].products.size(), 2u);
  ASSERT_EQ(read->notes.size(), 1u);
  EXPECT_NE(read->notes[0].find("sets[0]: products[1]: by"), std::string::npos) << read->notes[0];

  text.replace(text.find("\"version\": 1"), 12, "\"version\": 2");
  read = parseTuning(text, "t.json");
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->sets.empty());
  EXPECT_EQ(read->notes.size(), 1u);

  Tuning tuning = someTuning();
  EXPECT_EQ(tuning.find("NVIDIA A100", "cuBLASLt 13.1.0"), nullptr);
  EXPECT_TRUE(tuning.notes.empty());
  EXPECT_EQ(tuning.find("NVIDIA H200", "cuBLASLt 14.0.0"), nullptr);
  ASSERT_EQ(tuning.notes.size(), 1u);
  EXPECT_NE(tuning.notes[0].find("drun DIR tune"), std::string::npos);
}

WayToMultiply way(ProductBy by, uint64_t algorithm, const Status& result = {}) {
  return {by, algorithm, [result] { return result; }};
}

TEST(Tuner, TakesTheFastestThatWorks) {
  const std::vector<WayToMultiply> ways = {
      way(ProductBy::kGemv, 0), way(ProductBy::kLibrary, 5),
      way(ProductBy::kLibrary, 6, runtimeError("does not work")), way(ProductBy::kLibrary, 7)};
  std::vector<double> times = {5, 3, 1, 3};
  size_t next = 0;
  const Stopwatch stopwatch = [&](const std::function<Status()>& run) -> Result<double> {
    const double time = times[next++];
    DCC_RETURN_IF_ERROR(run());
    return time;
  };
  const Result<TunedProduct> best = fastestWay(kKey, ways, stopwatch);
  ASSERT_TRUE(best.ok());
  EXPECT_EQ(*best, (TunedProduct{kKey, ProductBy::kLibrary, 5, 3}));
  EXPECT_EQ(next, 4u);

  next = 2;
  const Result<TunedProduct> none = fastestWay(kKey, std::span(ways).subspan(2, 1), stopwatch);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message, "does not work");
}

// Three algorithms, of which the library refuses the second.
class ThreeAlgorithms : public MatrixLibrary {
 public:
  const std::string& name() const override { return name_; }
  size_t workspaceBytes() const override { return 0; }
  Status multiply(const Launch&, const Matrix&, const WeightView&, const float*, const Matrix&,
                  std::byte*) override {
    ran.push_back(chosen);
    return Status::success();
  }
  Result<std::vector<uint64_t>> algorithms(const ProductShape&) override {
    return std::vector<uint64_t>{11, 12, 13};
  }
  Result<bool> choose(const ProductShape&, uint64_t algorithm) override {
    if (algorithm == 12) return false;
    chosen = algorithm;
    return true;
  }

  uint64_t chosen = 11;
  std::vector<uint64_t> ran;

 private:
  std::string name_ = "three";
};

ProductShape shapeOfRows(int64_t rows) {
  return {rows, 16, 64, 64, 64, 16, DType::kBF16, DType::kBF16, DType::kF32, false, 256};
}

// What was measured decides, if it can; else the usual way.
TEST(ProductWays, TheWayIsWhatWasMeasured) {
  const auto tuned = [](int64_t rows, ProductBy by, uint64_t algorithm) {
    return TunedProduct{keyOf(shapeOfRows(rows)), by, algorithm, 1};
  };
  TuningSet set;
  set.add(tuned(2, ProductBy::kLibrary, 13));
  set.add(tuned(3, ProductBy::kLibrary, 12));  // the library refuses it
  set.add(tuned(16, ProductBy::kTiles, 0));    // of 9 to 16 rows
  set.add(tuned(32, ProductBy::kGemv, 0));     // more than it takes
  set.add(tuned(64, ProductBy::kLibrary, 12));
  auto library = std::make_unique<ThreeAlgorithms>();
  const ThreeAlgorithms& three = *library;
  dcc::cuda::Products products(std::move(library), set);
  const std::pair<int64_t, ProductBy> expected[] = {
      {1, ProductBy::kGemv},     {2, ProductBy::kLibrary},  {3, ProductBy::kGemv},
      {9, ProductBy::kTiles},    {16, ProductBy::kTiles},   {17, ProductBy::kLibrary},
      {64, ProductBy::kLibrary}, {63, ProductBy::kLibrary}, {1000, ProductBy::kLibrary}};
  for (const auto& [rows, by] : expected) {
    for (int turn = 0; turn < 2; ++turn) {
      const Result<ProductBy> way = products.way(shapeOfRows(rows));
      ASSERT_TRUE(way.ok());
      EXPECT_EQ(*way, by) << rows << " rows";
    }
    if (rows == 2) {
      EXPECT_EQ(three.chosen, 13u);
    }
  }
  // Of 3 and of 64 rows, once each; 63 are others of 64's class.
  ASSERT_EQ(products.notes().size(), 2u);
  EXPECT_EQ(products.notes()[0].find("bf16[3, 64] x bf16[16, 64]' -> f32: three has not"), 0u)
      << products.notes()[0];
}

using TunerOnDevice = testing::OnDevice;

TEST_F(TunerOnDevice, ProductsOfAnyRows) {
  dcc::cuda::Products products(tiledProducts(), {});
  EXPECT_EQ(products.workspaceBytes(), 0u);
  const TestMatrix weight = TestMatrix(5, 16).random(2);
  const DeviceMatrix device_weight(weight);
  for (int64_t rows : {0, 1, 8, 9, 70}) {
    const TestMatrix a = TestMatrix(rows, 16).random(1);
    TestMatrix expected(rows, 5);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < 5; ++c) {
        double sum = 0;
        for (int64_t k = 0; k < 16; ++k) sum += a.at(r, k) * weight.at(c, k);
        expected.set(r, c, static_cast<float>(sum));
      }
    }
    const DeviceMatrix device_a(a), out(TestMatrix(rows, 5));
    ASSERT_TRUE(
        products.multiply(on, device_a.view(), device_weight.weight(), nullptr, out.view(), nullptr)
            .ok());
    testing::expectClose(out, expected, 8);
  }
}

TEST_F(TunerOnDevice, EveryWayMakesTheProduct) {
  const DeviceMatrix a(TestMatrix(3, 16).random(1)), weight(TestMatrix(5, 16).random(2));
  const DeviceMatrix out(TestMatrix(3, 5));
  ThreeAlgorithms library;
  const auto ways =
      waysToMultiply(on, library, a.view(), weight.weight(), nullptr, out.view(), nullptr);
  ASSERT_TRUE(ways.ok());
  ASSERT_EQ(ways->size(), 5u);
  EXPECT_EQ(ways->front().by, ProductBy::kGemv);
  EXPECT_EQ(ways->back().by, ProductBy::kTiles);
  TestMatrix expected(3, 5);
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t c = 0; c < 5; ++c) {
      double sum = 0;
      for (int64_t k = 0; k < 16; ++k) {
        sum += a.download().at(r, k) * weight.download().at(c, k);
      }
      expected.set(r, c, static_cast<float>(sum));
    }
  }
  for (const WayToMultiply& one : *ways) {
    EXPECT_EQ(one.run().ok(), one.algorithm != 12);
    if (one.by != ProductBy::kLibrary) testing::expectClose(out, expected, 8);
  }
  EXPECT_EQ(library.ran, (std::vector<uint64_t>{11, 13}));

  const DeviceBytes flush(std::vector<float>(64));
  const Stopwatch stopwatch = deviceStopwatch(nullptr, {flush.as(), 256});
  const Result<double> time = stopwatch(ways->front().run);
  ASSERT_TRUE(time.ok()) << time.error().message;
  EXPECT_GE(*time, 0);
  EXPECT_FALSE(stopwatch((*ways)[2].run).ok());
}

}  // namespace
}  // namespace dcc::cuda
