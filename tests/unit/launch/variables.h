// Environment variables for the time of a call.
#pragma once

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "runtime/launch/nodes.h"
#include "runtime/launch/place.h"

namespace dcc::launch::testing {

using Variables = std::map<std::string, std::string>;

// Calls `body` with `variables`, and none else of those that starters of ranks set: the tests
// themselves may run as somebody's rank.
template <class Body>
auto withVariables(const Variables& variables, Body&& body) {
  std::vector<std::string> names = {kMasterAddressVariable, kMasterPortVariable,
                                    "SLURM_STEP_NODELIST", "LWS_LEADER_ADDRESS"};
  names.insert(names.end(), std::begin(kNodeRankVariables), std::end(kNodeRankVariables));
  for (const Starter& starter : starters()) {
    for (const char* name :
         {starter.rank, starter.world_size, starter.local_rank, starter.local_size, starter.hosts,
          starter.job[0], starter.job[1], starter.agent}) {
      if (name != nullptr) names.emplace_back(name);
    }
  }
  for (const auto& [name, value] : variables) names.push_back(name);
  Variables before;
  for (const std::string& name : names) {
    if (const char* value = std::getenv(name.c_str())) before[name] = value;
    ::unsetenv(name.c_str());
  }
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  auto result = body();
  for (const std::string& name : names) ::unsetenv(name.c_str());
  for (const auto& [name, value] : before) ::setenv(name.c_str(), value.c_str(), 1);
  return result;
}

}  // namespace dcc::launch::testing
