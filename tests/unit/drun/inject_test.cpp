// What DRUN_INJECT may say.
#include "tools/drun/inject.h"

#include <gtest/gtest.h>

#include "tests/unit/plan/example_plan.h"

namespace dcc::drun {
namespace {

TEST(Inject, SaysWhoWhereAndWhat) {
  const Injection kill = parseInjection("rank=2,at=decode:7,do=kill").value();
  EXPECT_EQ(kill.rank, 2u);
  EXPECT_EQ(kill.at, "decode");
  EXPECT_EQ(kill.step, 7u);
  EXPECT_EQ(kill.act, Injection::Act::kKill);
  EXPECT_TRUE(kill.inStep());
  const Injection flip =
      parseInjection("do=flip,collective=3,bit=99999999999,at=prefill,rank=0").value();
  EXPECT_EQ(flip.step, 0u);
  EXPECT_EQ(flip.collective, 3u);
  EXPECT_EQ(flip.bit, 99999999999u);
  EXPECT_EQ(flip.act, Injection::Act::kFlip);
  for (const char* place : {"start", "load", "shutdown"}) {
    const auto injection = parseInjection("rank=0,do=stop,at=" + std::string(place));
    ASSERT_TRUE(injection.ok());
    EXPECT_FALSE(injection->inStep());
  }
}

TEST(Inject, AnythingElseIsRefused) {
  for (const char* text :
       {"", "kill", "rank=2", "rank=2,at=decode", "at=decode,do=kill", "rank=2,do=kill",
        "rank=-1,at=load,do=kill", "rank=,at=load,do=kill", "rank=4294967296,at=load,do=kill",
        "rank=1x,at=load,do=kill", "rank=1,at=sleep,do=kill", "rank=1,at=load:2,do=kill",
        "rank=1,at=decode:,do=kill", "rank=1,at=decode:x,do=kill", "rank=1,at=load,do=explode",
        "rank=1,at=load,do=kill,color=red", "rank=1,,at=load,do=kill", "rank=1,at=load,do=flip",
        "rank=1,at=load,do=kill\nx"}) {
    const auto injection = parseInjection(text);
    ASSERT_FALSE(injection.ok()) << text;
    EXPECT_EQ(injection.error().fault, Fault::kUser);
    EXPECT_TRUE(injection.error().message.starts_with("DRUN_INJECT: ")) << text;
    EXPECT_EQ(injection.error().message.find('\n'), std::string::npos) << text;
  }
}

TEST(Inject, ThePlanMustHaveThePlace) {
  auto plans = plan::testing::examplePlans({.ranks = 2});
  const auto plan =
      plan::Plan::fromBytes(std::move(plan::packAll(plans)[0]), "example plan").value();
  const auto watch = [&](const char* text, uint32_t rank) {
    Injector injector(parseInjection(text).value(), rank);
    const auto observer = injector.watch(*plan);
    return observer.ok() ? std::string(*observer != nullptr ? "watches" : "nothing")
                         : observer.error().message;
  };
  EXPECT_EQ(watch("rank=1,at=decode,do=kill", 1), "watches");
  EXPECT_EQ(watch("rank=1,at=decode,do=kill", 0), "watches");  // and does nothing
  EXPECT_EQ(watch("rank=1,at=load,do=kill", 1), "nothing");
  EXPECT_EQ(watch("rank=1,at=encode,do=kill", 1), "DRUN_INJECT: the plan has no entry 'encode'");
  EXPECT_EQ(watch("rank=1,at=decode,collective=3,do=flip", 1),
            "DRUN_INJECT: the plan has no collective 3 in entry 'decode', but 3");
}

}  // namespace
}  // namespace dcc::drun
