#include "frontends/graph/model_json.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <set>

#include "frontends/graph/key_lines.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/nearest.h"

namespace dcc::graph {
namespace {

namespace fs = std::filesystem;

// A directory with a model directory "m" in it, and a model.json of the test's.
class ModelJsonTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() /
           ("dcc_model_json_" + std::to_string(testing::UnitTest::GetInstance()->random_seed()) +
            "_" + testing::UnitTest::GetInstance()->current_test_info()->name() + "_" +
            std::to_string(getpid()));
    fs::create_directories(dir_ / "m");
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::string write(const std::string& name, std::string_view text) {
    std::string path = (dir_ / name).string();
    EXPECT_TRUE(writeFile(path, text).ok());
    return path;
  }
  Result<ModelJson> read(std::string_view text) { return readModelJson(write("model.json", text)); }

  // The error without the directory's name; "" if there was none.
  std::string errorOf(std::string_view text) {
    Result<ModelJson> model = read(text);
    if (model.ok()) return "";
    EXPECT_EQ(model.error().fault, Fault::kUser);
    EXPECT_EQ(model.error().message.find('\n'), std::string::npos);
    std::string message = model.error().message, prefix = dir_.string() + "/";
    for (size_t at; (at = message.find(prefix)) != message.npos;) message.erase(at, prefix.size());
    return message;
  }

  fs::path dir_;
};

TEST_F(ModelJsonTest, Everything) {
  Result<ModelJson> model = read(R"({
    "$schema": "x", "model": "m", "mesh": {"tp": 4, "dp": 2}, "dtype": "bf16", "prompt": "Hi\n",
    "tp_plan": {"model.layers.*.mlp": "colwise",
                "a/b~c": "rowwise"},
    "max_tokens": 8, "max_seqs": 2, "max_seq_len": 100})");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->model, (dir_ / "m").string());
  EXPECT_EQ(model->tp, 4);
  EXPECT_EQ(model->dp, 2);
  EXPECT_EQ(model->cp, std::nullopt);
  EXPECT_EQ(model->dtype, DType::kBF16);
  EXPECT_EQ(model->prompt, "Hi\n");
  EXPECT_EQ(model->max_tokens, 8);
  EXPECT_EQ(model->max_seqs, 2);
  EXPECT_EQ(model->max_seq_len, 100);
  ASSERT_TRUE(model->tp_plan.has_value());
  ASSERT_EQ(model->tp_plan->size(), 2u);
  EXPECT_EQ((*model->tp_plan)[0].pattern, "a/b~c");
  EXPECT_EQ((*model->tp_plan)[0].strategy, "rowwise");
  EXPECT_EQ((*model->tp_plan)[0].where, model->path + ":4");
  EXPECT_EQ((*model->tp_plan)[1].where, model->path + ":3");
}

TEST_F(ModelJsonTest, LittleIsEnough) {
  Result<ModelJson> model = read(R"({"model": "m", "tp_plan": "auto", "dtype": "auto"})");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_FALSE(model->tp_plan.has_value());
  EXPECT_FALSE(model->dtype.has_value());
  EXPECT_FALSE(model->prompt.has_value());
  EXPECT_FALSE(model->tp.has_value());
}

TEST_F(ModelJsonTest, PlanInAFileBesideIt) {
  write("plan.json", "{\n\n\"q\": \"colwise\"}");
  Result<ModelJson> model = read(R"({"model": "m", "tp_plan": "plan.json"})");
  ASSERT_TRUE(model.ok()) << model.error().message;
  ASSERT_EQ(model->tp_plan->size(), 1u);
  EXPECT_EQ(model->tp_plan->front().where, (dir_ / "plan.json").string() + ":3");

  write("plan.json", "{\"q\":\n [\"colwise\"]}");
  EXPECT_EQ(
      errorOf(R"({"model": "m", "tp_plan": "plan.json"})"),
      "plan.json:1: \"q\": is an array; the name of a strategy (`dcc strategies` lists them) or "
      "an object that declares one is expected");
  EXPECT_NE(errorOf(R"({"model": "m", "tp_plan": "absent.json"})"), "");
}

TEST_F(ModelJsonTest, ErrorsNameFileLineAndKey) {
  EXPECT_EQ(errorOf("{\n  \"model\": \"m\",\n  \"promt\": \"x\"\n}"),
            "model.json:3: promt: is no key here; did you mean \"prompt\"?");
  EXPECT_EQ(errorOf("{\"model\": \"m\", \"mesh\": {\n\"ttp\": 2}}"),
            "model.json:2: ttp: is no key here; did you mean \"tp\"?");
  EXPECT_EQ(
      errorOf("{}"),
      "model.json: model: is missing; a Hugging Face model directory is expected, or a graph");
  EXPECT_EQ(errorOf("{\"model\": \"m\",\n\"graph\": {}}"),
            "model.json:2: graph: stands beside \"model\"; one of the two is expected");
  EXPECT_EQ(
      errorOf("{\"model\": \"m\",\n\"checkpoint\": \"m\"}"),
      "model.json:2: checkpoint: is a graph's; \"model\" names the directory with the weights "
      "too");
  EXPECT_EQ(
      errorOf(R"({"model": "m", "weights": "dumy"})"),
      "model.json:1: weights: is \"dumy\"; checkpoint, dummy or dummy:SEED with a seed from 0 "
      "to 18446744073709551615 is expected");
  EXPECT_EQ(errorOf(R"({"model": "n"})"),
            "model.json:1: model: \"n\" is no directory; a Hugging Face model directory, relative "
            "to this file, is expected");
  EXPECT_EQ(errorOf("{\"model\": \"m\",\n\"mesh\": 2}"),
            "model.json:2: mesh: is 2; an object is expected");
  EXPECT_EQ(errorOf("{\"model\": \"m\",\n\"mesh\": {\"tp\": 0}}"),
            "model.json:2: tp: is 0; an integer from 1 up to 65536 is expected");
  EXPECT_EQ(errorOf(R"({"model": "m", "dtype": "float32"})"),
            "model.json:1: dtype: is \"float32\"; auto, f32, bf16 or f16 is expected");
  for (std::string_view bad :
       {"", "[]", R"({"model": 3})", R"({"model": ""})", R"({"model": "m", "prompt": 1})",
        R"({"model": "m", "tp_plan": 1})", R"({"model": "m", "max_tokens": -1})",
        R"({"model": "m", "max_seq_len": 1e12})", R"({"model": "m", "model": "m"})",
        R"({"model": "m", "$schema": 1})", R"({"model": "m", "tp_plan": {"q": null}})"}) {
    EXPECT_NE(errorOf(bad), "") << bad;
  }
}

TEST(ModelJsonSchema, HasTheKeysTheReaderKnows) {
  Result<nlohmann::json> schema = readJson(DCC_SOURCE_DIR "/docs/model.schema.json");
  ASSERT_TRUE(schema.ok()) << schema.error().message;
  auto keysOf = [](const nlohmann::json& object) {
    std::set<std::string> keys;
    for (const auto& item : object["properties"].items()) keys.insert(item.key());
    return keys;
  };
  auto asSet = [](std::span<const std::string_view> keys) {
    return std::set<std::string>(keys.begin(), keys.end());
  };
  EXPECT_EQ(keysOf(*schema), asSet(modelJsonKeys()));
  EXPECT_EQ(keysOf((*schema)["properties"]["mesh"]), asSet(meshKeys()));
}

TEST(ModelJsonSchema, TheExampleReads) {
  Result<ModelJson> model = readModelJson(DCC_SOURCE_DIR "/examples/model.json");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->model, DCC_SOURCE_DIR "/examples/shakespeare-llama");
  EXPECT_EQ(model->prompt, "ROMEO:\n");
}

TEST(KeyLines, OfKeysAndElements) {
  constexpr std::string_view kText =
      "{\"a\\\"{\": \"b:\\\\\",\n \"c\": [{\"d\":\n 1},\n[true,\n\"]\", 2]], \"e\"\n: {\"f/\": "
      "{}}}";
  Result<nlohmann::json> document = parseJson(kText, "text");
  ASSERT_TRUE(document.ok());
  KeyLines lines = keyLines(kText, *document);
  const std::map<std::string, size_t> expected{
      {"/a\"{", 1},  {"/c", 2},     {"/c/0", 2},   {"/c/0/d", 2}, {"/c/1", 4},
      {"/c/1/0", 4}, {"/c/1/1", 5}, {"/c/1/2", 5}, {"/e", 5},     {"/e/f~1", 6}};
  EXPECT_EQ(lines.size(), expected.size());
  for (const auto& [pointer, line] : expected) {
    EXPECT_EQ(lines[&(*document)[nlohmann::json::json_pointer(pointer)]], line) << pointer;
  }
}

TEST(Nearest, Names) {
  EXPECT_EQ(editDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(editDistance("", "abc"), 3u);
  EXPECT_EQ(nearestName("rowise", std::vector<std::string>{"colwise", "rowwise"}), "rowwise");
  EXPECT_EQ(nearestName("x", std::vector<std::string>{}), "");
}

}  // namespace
}  // namespace dcc::graph
