#include "frontends/huggingface/checkpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "runtime/base/file.h"
#include "runtime/base/safetensors.h"

namespace dcc::huggingface {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() /
           ("dcc_checkpoint_" +
            std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + "_" +
            std::to_string(getpid()));
    fs::create_directories(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }

  // A file with one f32 tensor [2, 3].
  void writeTensors(const std::string& file, const std::string& tensor, DType type = DType::kF32) {
    auto writer = SafetensorsWriter::create((dir_ / file).string(), {{tensor, type, {2, 3}}});
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    std::vector<uint8_t> bytes(6 * byteSize(type));
    ASSERT_TRUE(writer->writeBytes(0, 0, bytes).ok());
    ASSERT_TRUE(writer->finish().ok());
  }
  void write(const std::string& file, std::string_view text) {
    ASSERT_TRUE(writeFile((dir_ / file).string(), text).ok());
  }
  void writeIndex(std::string_view weight_map) {
    write("model.safetensors.index.json", R"({"weight_map": )" + std::string(weight_map) + "}");
  }

  // The error of opening, without the directory's name; "" if there was none.
  std::string openError() { return strip(Checkpoint::open(dir_.string())); }
  template <class T>
  std::string strip(const Result<T>& result) {
    if (result.ok()) return "";
    EXPECT_EQ(result.error().fault, Fault::kUser);
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
    std::string message = result.error().message;
    for (size_t at; (at = message.find(dir_.string())) != message.npos;)
      message.replace(at, dir_.string().size(), "DIR");
    return message;
  }

  fs::path dir_;
};

TEST_F(CheckpointTest, OneFile) {
  writeTensors("model.safetensors", "w");
  Result<Checkpoint> checkpoint = Checkpoint::open(dir_.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  ASSERT_EQ(checkpoint->files().size(), 1u);
  EXPECT_EQ(checkpoint->files()[0].path, (dir_ / "model.safetensors").string());
  EXPECT_EQ(checkpoint->files()[0].bytes, fs::file_size(dir_ / "model.safetensors"));
  const CheckpointTensor* w = checkpoint->find("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->dtype, "F32");
  EXPECT_EQ(w->shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(w->bytes, 24u);
  EXPECT_EQ(w->offset + w->bytes, checkpoint->files()[0].bytes);
  EXPECT_EQ(checkpoint->find("v"), nullptr);
}

TEST_F(CheckpointTest, RelativeDirectoryGivesAbsolutePaths) {
  writeTensors("model.safetensors", "w");
  fs::path relative = fs::relative(dir_, fs::current_path());
  Result<Checkpoint> checkpoint = Checkpoint::open(relative.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->files()[0].path, (dir_ / "model.safetensors").string());
}

TEST_F(CheckpointTest, ShardsOfAnIndex) {
  writeTensors("b.safetensors", "w");
  writeTensors("a.safetensors", "v");
  writeIndex(R"({"w": "b.safetensors", "v": "a.safetensors"})");
  Result<Checkpoint> checkpoint = Checkpoint::open(dir_.string());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  ASSERT_EQ(checkpoint->files().size(), 2u);
  EXPECT_EQ(checkpoint->files()[checkpoint->find("w")->file].path,
            (dir_ / "b.safetensors").string());
  EXPECT_EQ(checkpoint->files()[checkpoint->find("v")->file].path,
            (dir_ / "a.safetensors").string());
}

TEST_F(CheckpointTest, TheGoldenShards) {
  Result<Checkpoint> checkpoint = Checkpoint::open(DCC_SOURCE_DIR "/tests/models/llama3");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->files().size(), 6u);
  const uint64_t shape[] = {384, 128};
  EXPECT_TRUE(checkpoint->require("model.embed_tokens.weight", shape).ok());
}

TEST_F(CheckpointTest, TheSingleFileComesFirst) {
  writeTensors("model.safetensors", "w");
  writeIndex("3");
  EXPECT_EQ(openError(), "");
}

TEST_F(CheckpointTest, NoWeights) {
  EXPECT_EQ(openError(),
            "DIR: has no weights; model.safetensors or model.safetensors.index.json with the files "
            "it names is expected; --weights dummy needs none");
  write("pytorch_model.bin", "x");
  EXPECT_EQ(openError(),
            "DIR: has weights in PyTorch's format only (\"pytorch_model.bin\"); convert them to "
            "safetensors, e.g. with transformers' from_pretrained(...).save_pretrained(...)");
  EXPECT_EQ(strip(Checkpoint::open((dir_ / "absent").string())),
            "DIR/absent: is no directory; a Hugging Face model directory is expected");
}

TEST_F(CheckpointTest, IndexAgainstFiles) {
  writeTensors("a.safetensors", "v");
  writeIndex(R"({"v": "a.safetensors", "w": "a.safetensors"})");
  EXPECT_EQ(openError(),
            "DIR/model.safetensors.index.json: says that \"w\" is in \"a.safetensors\", which does "
            "not hold it; index and files of one download are expected");
  writeIndex(R"({"v": "a.safetensors", "w": "b.safetensors"})");
  EXPECT_EQ(openError(),
            "DIR/model.safetensors.index.json: names \"b.safetensors\", which is missing; all 2 "
            "files it names are expected beside it");
}

TEST_F(CheckpointTest, IndexMustStayInside) {
  writeTensors("a.safetensors", "v");
  for (std::string_view bad : {"../a.safetensors", "/etc/passwd", "x/../../a", "", "a\\u0000b"}) {
    writeIndex(R"({"v": ")" + std::string(bad) + "\"}");
    EXPECT_NE(openError().find("is no name of a file inside the directory"), std::string::npos)
        << bad << ": " << openError();
  }
  for (std::string_view bad : {"{}", "[]", "3", R"({"v": 3})", R"({"v": null})"}) {
    writeIndex(bad);
    EXPECT_NE(openError(), "") << bad;
  }
  write("model.safetensors.index.json", "{}");
  EXPECT_NE(openError(), "");
  write("model.safetensors.index.json", "{");
  EXPECT_NE(openError(), "");
}

TEST_F(CheckpointTest, DamagedFile) {
  write("model.safetensors", "short");
  EXPECT_NE(openError().find("DIR/model.safetensors: "), std::string::npos) << openError();
}

TEST_F(CheckpointTest, Require) {
  writeTensors("model.safetensors", "layer.weight");
  Result<Checkpoint> checkpoint = Checkpoint::open(dir_.string());
  ASSERT_TRUE(checkpoint.ok());
  const uint64_t right[] = {2, 3}, wrong[] = {3, 2};
  EXPECT_TRUE(checkpoint->require("layer.weight", right).ok());
  EXPECT_EQ(strip(checkpoint->require("layer.weight", wrong)),
            "DIR: tensor \"layer.weight\" has shape [2, 3] in DIR/model.safetensors; [3, 2], as "
            "config.json says, is expected");
  EXPECT_EQ(strip(checkpoint->require("layer.bias", right)),
            "DIR: tensor \"layer.bias\" is missing; shape [2, 3] is expected (the nearest name "
            "there is \"layer.weight\")");
  writeTensors("model.safetensors", "w", DType::kI64);
  checkpoint = Checkpoint::open(dir_.string());
  ASSERT_TRUE(checkpoint.ok());
  EXPECT_EQ(
      strip(checkpoint->require("w", right)),
      "DIR: tensor \"w\" has type I64 in DIR/model.safetensors; F32, BF16 or F16 is expected");
}

}  // namespace
}  // namespace dcc::huggingface
