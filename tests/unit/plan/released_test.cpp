// Plans and schemas of released versions: what `flatc --conform` does not see, and that old plans
// still load.
#include <flatbuffers/reflection.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/base/file.h"
#include "runtime/plan/access.h"
#include "runtime/plan/plan.h"

namespace dcc::plan {
namespace {

// Structs lie in vectors without offsets, so they can never grow.
static_assert(sizeof(fb::Hash128) == 16);
static_assert(sizeof(fb::SizeNode) == 24);
static_assert(sizeof(fb::Operand) == 8);
static_assert(sizeof(fb::Attr) == 24);

TEST(Released, NothingIsRequired) {
  std::string schema = readFile(DCC_PLAN_BFBS, 1 << 20).value();
  for (const reflection::Object* object : *reflection::GetSchema(schema.data())->objects()) {
    for (const reflection::Field* field : *object->fields()) {
      EXPECT_FALSE(field->required()) << object->name()->str() << "." << field->name()->str();
    }
  }
}

TEST(Released, EveryPlanStillLoads) {
  size_t versions = 0;
  for (const auto& version : std::filesystem::directory_iterator(DCC_RELEASED_PLANS)) {
    SCOPED_TRACE(version.path());
    auto plan = Plan::load(version.path() / "tp2.dplan");
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(std::to_string((*plan)->major()) + "." + std::to_string((*plan)->minor()),
              version.path().filename());
    EXPECT_EQ((*plan)->entries()->size(), 3u);
    EXPECT_FALSE(dump(**plan).empty());
    ++versions;
  }
  EXPECT_GE(versions, 1u);
}

}  // namespace
}  // namespace dcc::plan
