// What environment variables say, and what they must not.
#include "runtime/launch/place.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

namespace dcc::launch {
namespace {

const std::map<std::string, std::string> kGood = {{"RANK", "3"},
                                                  {"WORLD_SIZE", "4"},
                                                  {"LOCAL_RANK", "1"},
                                                  {"MASTER_ADDR", "node7"},
                                                  {"MASTER_PORT", "29500"}};

Result<std::optional<Place>> placeOf(const std::map<std::string, std::string>& variables) {
  for (const auto& [name, value] : kGood) ::unsetenv(name.c_str());
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  const auto place = Place::fromEnvironment();
  for (const auto& [name, value] : kGood) ::unsetenv(name.c_str());
  return place;
}

TEST(Place, OfTorchrun) {
  const auto place = placeOf(kGood);
  ASSERT_TRUE(place.ok() && place->has_value());
  EXPECT_EQ((*place)->rank, 3u);
  EXPECT_EQ((*place)->world_size, 4u);
  EXPECT_EQ((*place)->local_rank, 1u);
  EXPECT_EQ((*place)->master_address, "node7");
  EXPECT_EQ((*place)->master_port, 29500);
}

TEST(Place, NoneWithoutRankAndWorldSize) {
  for (const char* missing : {"RANK", "WORLD_SIZE"}) {
    auto variables = kGood;
    variables.erase(missing);
    const auto place = placeOf(variables);
    EXPECT_TRUE(place.ok() && !place->has_value()) << missing;
  }
}

TEST(Place, WhatIsMissingOrWrongIsNamed) {
  for (const char* missing : {"LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}) {
    auto variables = kGood;
    variables.erase(missing);
    const auto place = placeOf(variables);
    ASSERT_FALSE(place.ok());
    EXPECT_EQ(place.error().message.find(std::string(missing) + ": not set"), 0u);
    EXPECT_EQ(place.error().fault, Fault::kUser);
  }
  const std::pair<const char*, const char*> wrong[] = {
      {"RANK", "4"},       {"RANK", "-1"},           {"RANK", "1 "},
      {"RANK", ""},        {"WORLD_SIZE", "0"},      {"WORLD_SIZE", "x"},
      {"LOCAL_RANK", "9"}, {"MASTER_PORT", "65535"}, {"MASTER_PORT", ":1"}};
  for (const auto& [name, value] : wrong) {
    auto variables = kGood;
    variables[name] = value;
    const auto place = placeOf(variables);
    ASSERT_FALSE(place.ok()) << name << "=" << value;
    EXPECT_EQ(place.error().message.find(std::string(name) + "=" + value + ": "), 0u)
        << place.error().message;
  }
}

}  // namespace
}  // namespace dcc::launch
