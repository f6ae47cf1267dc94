#include "runtime/plan/directory.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "example_plan.h"
#include "runtime/base/file.h"
#include "runtime/plan/access.h"
#include "tests/unit/temporary_directory.h"

namespace dcc::plan {
namespace {

namespace fs = std::filesystem;
using dcc::testing::TemporaryDirectory;
using testing::examplePlans;

std::vector<std::vector<uint8_t>> packed(uint32_t ranks = 2, uint32_t vocab_rows = 0) {
  auto plans = examplePlans({.ranks = ranks});
  for (fb::PlanT& plan : plans) plan.max_seq_len += vocab_rows;  // another compilation
  return packAll(plans);
}

std::set<std::string> filesOf(const std::string& dir) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (!entry.is_directory()) names.insert(entry.path().lexically_relative(dir));
  }
  return names;
}

std::string errorOf(const Status& status) { return status.ok() ? "" : status.error().message; }

class DirectoryTest : public ::testing::Test {
 protected:
  void write() {
    ExtraFile files[] = {{"tokenizer.json", "{}"}, {"ir/sharded.mlir", "module {}\n"}};
    Status status = writeDirectory(plan_, packed(), files);
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  TemporaryDirectory dir_;
  std::string plan_ = dir_ / "plan";
};

TEST_F(DirectoryTest, IsWrittenWholeAndReadBack) {
  write();
  EXPECT_EQ(filesOf(dir_.path()),
            (std::set<std::string>{"plan/manifest.json", "plan/rank_0.dplan", "plan/rank_1.dplan",
                                   "plan/tokenizer.json", "plan/ir/sharded.mlir"}));
  auto manifest = readManifest(plan_);
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->model, "example llama, 1 layer");
  EXPECT_EQ(manifest->mesh, (std::vector<MeshAxis>{{"tp", 2}}));
  EXPECT_EQ(manifest->ranks.size(), 2u);
  EXPECT_EQ(manifest->files, (std::vector<std::string>{"tokenizer.json", "ir/sharded.mlir"}));
  EXPECT_EQ(errorOf(verifyDirectory(plan_)), "");
  auto rank = loadRank(plan_, *manifest, 1);
  ASSERT_TRUE(rank.ok());
  EXPECT_EQ((*rank)->rank(), 1u);
  EXPECT_EQ(loadRank(plan_, *manifest, 2).error().message,
            plan_ + ": is for 2 ranks; there is no rank 2");
}

TEST_F(DirectoryTest, ReplacesAPlanDirectoryAndKeepsWhatIsTheUsers) {
  write();
  ASSERT_TRUE(writeFile(plan_ + "/notes.txt", "mine").ok());
  ASSERT_TRUE(writeFile(plan_ + "/ir/edited.mlir", "mine").ok());
  ASSERT_EQ(errorOf(writeDirectory(plan_ + "/", packed(4), {})), "");
  EXPECT_EQ(filesOf(dir_.path()),
            (std::set<std::string>{"plan/manifest.json", "plan/rank_0.dplan", "plan/rank_1.dplan",
                                   "plan/rank_2.dplan", "plan/rank_3.dplan", "plan/notes.txt",
                                   "plan/ir/edited.mlir"}));
  EXPECT_EQ(errorOf(verifyDirectory(plan_)), "");
}

TEST_F(DirectoryTest, EmptyDirectoriesAndMissingParentsAreFine) {
  fs::create_directory(plan_);
  EXPECT_EQ(errorOf(writeDirectory(plan_, packed(), {})), "");
  EXPECT_EQ(errorOf(writeDirectory(dir_ / "a/b/c", packed(), {})), "");
  fs::create_directory_symlink(plan_, dir_ / "link");
  EXPECT_EQ(errorOf(writeDirectory(dir_ / "link", packed(1), {})), "");
  EXPECT_TRUE(fs::is_symlink(dir_ / "link"));
  EXPECT_EQ(readManifest(plan_)->ranks.size(), 1u);
}

TEST_F(DirectoryTest, RefusesWhatIsInTheWay) {
  fs::create_directory(plan_);
  ASSERT_TRUE(writeFile(plan_ + "/precious", "").ok());
  EXPECT_EQ(errorOf(writeDirectory(plan_, packed(), {})),
            plan_ + ": is not empty and no plan directory; name another one");
  ASSERT_TRUE(writeFile(plan_ + "/manifest.json", "{\"format\": \"other\"}").ok());
  EXPECT_NE(errorOf(writeDirectory(plan_, packed(), {})).find("no plan directory of dcc"),
            std::string::npos);
  EXPECT_NE(errorOf(writeDirectory(plan_ + "/precious", packed(), {})).find("is in the way"),
            std::string::npos);
  EXPECT_EQ(filesOf(dir_.path()), (std::set<std::string>{"plan/manifest.json", "plan/precious"}));
  EXPECT_FALSE(writeDirectory("", packed(), {}).ok());
  EXPECT_FALSE(writeDirectory("/", packed(), {}).ok());
}

TEST_F(DirectoryTest, NotWritableNamesThePathAndLeavesNothing) {
  if (::geteuid() == 0) {
    // Root may write anywhere but here.
    Status status = writeDirectory("/proc/plan", packed(), {});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message.rfind("/proc/plan: cannot be written: ", 0), 0u);
    return;
  }
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0500), 0);
  Status status = writeDirectory(plan_, packed(), {});
  EXPECT_EQ(errorOf(status), plan_ + ": cannot be written: Permission denied");
  ::chmod(dir_.path().c_str(), 0700);
  EXPECT_TRUE(fs::is_empty(dir_.path()));
}

TEST_F(DirectoryTest, InvalidPlansAreNeverWritten) {
  auto plans = packed();
  plans[1].resize(plans[1].size() / 2);
  Status status = writeDirectory(plan_, plans, {});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kRuntime);
  auto single = packed();
  single.pop_back();
  EXPECT_NE(errorOf(writeDirectory(plan_, single, {})).find("there are 1 plans"),
            std::string::npos);
  EXPECT_FALSE(writeDirectory(plan_, {}, {}).ok());
  for (const char* name : {"../x", "/x", "manifest.json", "rank_1.dplan", ""}) {
    ExtraFile file{name, ""};
    EXPECT_FALSE(writeDirectory(plan_, packed(), {&file, 1}).ok()) << name;
  }
  EXPECT_TRUE(fs::is_empty(dir_.path()));
}

// ---- a directory that was damaged afterwards ----------------------------------------------------

TEST_F(DirectoryTest, MixedCompilationsAreFoundByEachRank) {
  write();
  ASSERT_EQ(errorOf(writeDirectory(dir_ / "other", packed(2, 1), {})), "");
  fs::copy_file(dir_ / "other/rank_1.dplan", plan_ + "/rank_1.dplan",
                fs::copy_options::overwrite_existing);
  auto manifest = readManifest(plan_);
  EXPECT_TRUE(loadRank(plan_, *manifest, 0).ok());
  std::string expected =
      plan_ + "/rank_1.dplan: is of another compilation than " + plan_ + "/manifest.json";
  EXPECT_EQ(loadRank(plan_, *manifest, 1).error().message, expected + "; compile the model again");
  EXPECT_EQ(errorOf(verifyDirectory(plan_)),
            expected +
                ": max_seq_len 33 stands where rank 0 has max_seq_len 32; compile the model again");
}

TEST_F(DirectoryTest, ExchangedRanksAreFound) {
  write();
  fs::rename(plan_ + "/rank_0.dplan", plan_ + "/x");
  fs::rename(plan_ + "/rank_1.dplan", plan_ + "/rank_0.dplan");
  fs::rename(plan_ + "/x", plan_ + "/rank_1.dplan");
  EXPECT_EQ(errorOf(verifyDirectory(plan_)),
            plan_ +
                "/rank_0.dplan: is the plan of rank 1; files of this directory were exchanged, "
                "so compile the model again");
}

TEST_F(DirectoryTest, MissingFilesAreNamed) {
  EXPECT_EQ(readManifest(plan_).error().message,
            plan_ + ": cannot be read: No such file or directory");
  EXPECT_NE(readManifest(dir_.path()).error().message.find("it has no manifest.json"),
            std::string::npos);
  write();
  EXPECT_NE(readManifest(plan_ + "/tokenizer.json").error().message.find("is no directory"),
            std::string::npos);
  fs::remove(plan_ + "/ir/sharded.mlir");
  EXPECT_EQ(errorOf(verifyDirectory(plan_)),
            plan_ + "/ir/sharded.mlir: cannot be read: No such file or directory");
  fs::remove(plan_ + "/rank_1.dplan");
  EXPECT_EQ(errorOf(verifyDirectory(plan_)),
            plan_ + "/rank_1.dplan: cannot be read: No such file or directory");
}

TEST_F(DirectoryTest, DamagedManifestsAreRefused) {
  write();
  const std::string path = plan_ + "/manifest.json";
  const std::string good = readFile(path, 1 << 20).value();
  auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    EXPECT_TRUE(writeFile(path, text).ok());
    auto manifest = readManifest(plan_);
    EXPECT_FALSE(manifest.ok()) << to;
    std::string message = manifest.ok() ? "" : manifest.error().message;
    EXPECT_EQ(message.rfind(path + ":", 0), 0u) << message;
    return message;
  };
  EXPECT_NE(with("\"major\": 0", "\"major\": 7").find("is 7; this build reads 0"),
            std::string::npos);
  with("\"world_size\": 2", "\"world_size\": 3");
  with("\"size\": 2", "\"size\": 3");
  with("\"size\": 2", "\"size\": 4294967296");
  with("rank_1.dplan", "../x.dplan");
  with("tokenizer.json", "../tokenizer.json");
  with("\"compilation_id\": \"", "\"compilation_id\": \"00");
  with("{", "[");
  // A hash that is one, but of other programs.
  std::string id = readManifest((writeFile(path, good).ok(), plan_))->compilation_id.hex();
  EXPECT_NE(with(id, std::string(32, '0')).find("is not that of the ranks' program hashes"),
            std::string::npos);
  for (size_t n = 0; n + 1 < good.size(); n += 64) {
    ASSERT_TRUE(writeFile(path, good.substr(0, n)).ok());
    EXPECT_FALSE(readManifest(plan_).ok()) << n;
  }
}

}  // namespace
}  // namespace dcc::plan
