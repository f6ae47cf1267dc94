#include "runtime/base/program.h"

#include <gtest/gtest.h>

#include <new>
#include <system_error>

namespace dcc {
namespace {

TEST(Guarded, GivesWhatTheBodyGives) {
  EXPECT_TRUE(guarded([] { return Status::success(); }).ok());
  EXPECT_EQ(guarded([]() -> Status { return userError("a: b; c"); }).error().message, "a: b; c");
}

TEST(Guarded, WhatTheMachineHasNoMoreOfIsARuntimeError) {
  const Status memory = guarded([]() -> Status { throw std::bad_alloc(); });
  ASSERT_FALSE(memory.ok());
  EXPECT_EQ(memory.error().fault, Fault::kRuntime);
  EXPECT_TRUE(memory.error().message.starts_with("memory: ")) << memory.error().message;
  const Status threads = guarded([]() -> Status {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
  });
  ASSERT_FALSE(threads.ok());
  EXPECT_EQ(threads.error().fault, Fault::kRuntime);
  EXPECT_TRUE(threads.error().message.starts_with("threads: ")) << threads.error().message;
}

}  // namespace
}  // namespace dcc
