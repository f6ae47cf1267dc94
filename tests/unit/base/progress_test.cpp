// The line itself; what becomes of it on a terminal: tests/models/progress_test.py.
#include "runtime/base/progress.h"

#include <gtest/gtest.h>

namespace dcc {
namespace {

const ProgressState kHalf = {"loading weights", "bytes", uint64_t{3} << 29, uint64_t{3} << 30,
                             12.5};

TEST(ProgressLine, Whole) {
  EXPECT_EQ(progressLine(kHalf, 12.5, 79),
            "loading weights  [=============              ]  50 %  1.5 of 3.0 GiB  13 s left");
  EXPECT_EQ(progressLine({"prompts", "tokens", 0, 4096, 0}, 3, 79),
            "prompts  [                              ]  0 %  0 of 4096 tokens");
  EXPECT_EQ(progressLine({"prompts", "tokens", 4096, 4096, 3}, 3, 79),
            "prompts  [==============================]  100 %  4096 of 4096 tokens  0 s left");
  EXPECT_EQ(progressLine({"x", "bytes", 7, 70, 300}, 300, 99),
            "x  [===                           ]  10 %  7 of 70 bytes  45 min left");
  EXPECT_EQ(progressLine({"encoding", "texts", 50, 200, 4, true}, 4, 79),
            "encoding  [====               ]  25 %  50 of 200 texts  12.5 texts/s  12 s left");
  // Between updates what is left becomes less.
  EXPECT_NE(progressLine(kHalf, 20, 79).find("  5 s left"), std::string::npos);
  EXPECT_NE(progressLine(kHalf, 30, 79).find("  0 s left"), std::string::npos);
}

TEST(ProgressLine, OfUnknownLengthSaysHowLongItHasTaken) {
  EXPECT_EQ(progressLine({"checking", "", 0, 0, 0}, 7.9, 79), "checking  7 s");
  EXPECT_EQ(progressLine({"checking", "", 0, 0, 0}, 130, 79), "checking  2 min");
  EXPECT_EQ(progressLine({"checking", "", 0, 0, 0}, 3 * 3600.0, 79), "checking  3 h");
}

TEST(ProgressLine, FitsAnyWidth) {
  EXPECT_EQ(progressLine(kHalf, 12.5, 64),
            "loading weights  [======      ]  50 %  1.5 of 3.0 GiB  13 s left");
  EXPECT_EQ(progressLine(kHalf, 12.5, 55), "loading weights  50 %  1.5 of 3.0 GiB  13 s left");
  EXPECT_EQ(progressLine(kHalf, 12.5, 40), "loading weights  50 %  1.5 of 3.0 GiB");
  EXPECT_EQ(progressLine(kHalf, 12.5, 35), "loading weights  [=====     ]  50 %");
  EXPECT_EQ(progressLine(kHalf, 12.5, 22), "loading weights  50 %");
  EXPECT_EQ(progressLine(kHalf, 12.5, 8), "loading ");
  for (size_t columns = 0; columns < 120; ++columns) {
    for (const uint64_t done : {uint64_t{0}, kHalf.done, kHalf.all, 2 * kHalf.all}) {
      ProgressState state = kHalf;
      state.done = done;
      EXPECT_LE(progressLine(state, 1e12, columns).size(), columns);
    }
  }
}

TEST(Progress, IsSilentWhereThereIsNoTerminal) {
  testing::internal::CaptureStderr();
  EXPECT_FALSE(canDrawProgress());
  EXPECT_EQ(eraseProgress(), "");
  {
    Progress progress("test", "tokens");
    progress.update(1, 2);
    progress.say("else");
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace dcc
