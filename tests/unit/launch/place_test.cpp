// What environment variables say, and what they must not.
#include "runtime/launch/place.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/unique_fd.h"
#include "runtime/launch/nodes.h"
#include "tests/unit/launch/variables.h"

namespace dcc::launch {
namespace {

using testing::Variables;
using testing::withVariables;

Variables torchrun() {
  return {{"RANK", "3"},
          {"WORLD_SIZE", "4"},
          {"LOCAL_RANK", "1"},
          {"LOCAL_WORLD_SIZE", "2"},
          {"TORCHELASTIC_RUN_ID", "none"},
          {"MASTER_ADDR", "node7"},
          {"MASTER_PORT", "29500"}};
}

Variables openMpi() {
  return {{"OMPI_COMM_WORLD_RANK", "3"},
          {"OMPI_COMM_WORLD_SIZE", "4"},
          {"OMPI_COMM_WORLD_LOCAL_RANK", "3"},
          {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
          {"PMIX_RANK", "3"},
          {"PMIX_NAMESPACE", "2755723265"}};
}

Variables hydra() {
  return {{"PMI_RANK", "1"},        {"PMI_SIZE", "2"},    {"MPI_LOCALRANKID", "1"},
          {"MPI_LOCALNRANKS", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1000"}};
}

Variables slurm() {
  return {{"SLURM_PROCID", "5"},    {"SLURM_STEP_NUM_TASKS", "8"},
          {"SLURM_LOCALID", "1"},   {"SLURM_STEP_NUM_NODES", "2"},
          {"SLURM_JOB_ID", "4711"}, {"SLURM_STEP_ID", "3"},
          {"SLURM_NODEID", "1"},    {"SLURM_STEP_NODELIST", "gpu[07-08,11]"}};
}

Result<std::optional<Place>> placeOf(const Variables& variables) {
  return withVariables(variables, Place::fromEnvironment);
}

Place joined(const Variables& variables) {
  const auto place = placeOf(variables);
  EXPECT_TRUE(place.ok()) << place.error().message;
  EXPECT_TRUE(place.ok() && place->has_value());
  return place.ok() && *place ? **place : Place();
}

std::string refused(const Variables& variables) {
  const auto place = placeOf(variables);
  if (place.ok()) return "accepted";
  EXPECT_EQ(place.error().fault, Fault::kUser);
  return place.error().message;
}

Variables without(Variables variables, std::initializer_list<const char*> names) {
  for (const char* name : names) variables.erase(name);
  return variables;
}

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

TEST(Place, OfTorchrun) {
  const Place place = joined(torchrun());
  EXPECT_STREQ(place.starter->name, "torchrun");
  EXPECT_EQ(place.rank, 3u);
  EXPECT_EQ(place.world_size, 4u);
  EXPECT_EQ(place.local_rank, 1u);
  EXPECT_EQ(place.local_size, 2u);
  EXPECT_FALSE(place.onOneHost());
  EXPECT_EQ(place.store_host, "node7");
  EXPECT_EQ(place.store_port, 29501) << "MASTER_PORT is torchrun's own";
  EXPECT_EQ(place.job, "none@node7:29500");
  // By hand, as many scripts do it.
  const Place by_hand = joined(without(torchrun(), {"LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"}));
  EXPECT_EQ(by_hand.local_size, 0u);
  EXPECT_EQ(by_hand.job, "@node7:29500");
}

TEST(Place, OfOpenMpi) {
  const Place place = joined(openMpi());
  EXPECT_STREQ(place.starter->name, "Open MPI");
  EXPECT_EQ(place.rank, 3u);
  EXPECT_EQ(place.world_size, 4u);
  EXPECT_TRUE(place.onOneHost());
  EXPECT_EQ(place.job, "2755723265");
  EXPECT_EQ(place.store_host, "");
  const std::string two_hosts = refused(with(openMpi(), {{"OMPI_COMM_WORLD_SIZE", "8"}}));
  EXPECT_NE(two_hosts.find("mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500"), std::string::npos)
      << two_hosts;
  const Variables master = {{"MASTER_ADDR", "h"}, {"MASTER_PORT", "7"}};
  EXPECT_EQ(joined(with(with(openMpi(), {{"OMPI_COMM_WORLD_SIZE", "8"}}), master)).store_port, 8);
}

TEST(Place, OfHydra) {
  const Place place = joined(hydra());
  EXPECT_STREQ(place.starter->name, "PMI");
  EXPECT_EQ(place.rank, 1u);
  EXPECT_TRUE(place.onOneHost());
  EXPECT_EQ(place.job, "@a:1000");
  EXPECT_EQ(refused(without(hydra(), {"MPI_LOCALRANKID"})).find("MPI_LOCALRANKID: not set"), 0u);
}

// Which names no job: its ranks know it by the process that they all speak to.
TEST(Place, OfHydraWithoutAMaster) {
  const Variables own = without(hydra(), {"MASTER_ADDR", "MASTER_PORT"});
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const UniqueFd here(pair[0]), there(pair[1]);
  const Place place = joined(with(own, {{"PMI_FD", std::to_string(here.get())}}));
  EXPECT_TRUE(place.onOneHost());
  EXPECT_EQ(place.job, "process " + std::to_string(::getpid()));
  // A descriptor of something else says nothing.
  const UniqueFd file(::open("/dev/null", O_RDONLY));
  const std::string message = refused(with(own, {{"PMI_FD", std::to_string(file.get())}}));
  EXPECT_NE(message.find("mpiexec -genv MASTER_ADDR HOST"), std::string::npos) << message;
}

TEST(Place, OfPmixAlone) {
  const Place place = joined({{"PMIX_RANK", "2"},
                              {"PMIX_NAMESPACE", "prterun-a-1@1"},
                              {"MASTER_ADDR", "a"},
                              {"MASTER_PORT", "1000"}});
  EXPECT_STREQ(place.starter->name, "PMIx");
  EXPECT_EQ(place.rank, 2u);
  EXPECT_EQ(place.world_size, 0u) << "the plan's";
  EXPECT_FALSE(place.onOneHost());
  EXPECT_NE(refused({{"PMIX_RANK", "2"}, {"PMIX_NAMESPACE", "x"}}).find("mpirun -x MASTER_ADDR"),
            std::string::npos);
}

TEST(Place, OfSlurm) {
  const Place place = joined(slurm());
  EXPECT_STREQ(place.starter->name, "Slurm");
  EXPECT_EQ(place.rank, 5u);
  EXPECT_EQ(place.world_size, 8u);
  EXPECT_EQ(place.local_rank, 1u);
  EXPECT_EQ(place.job, "4711.3");
  EXPECT_EQ(place.store_host, "gpu07");
  EXPECT_EQ(place.store_port, 20000 + (4711 * 16 + 3) % 10000);
  const Variables one_host = with(slurm(), {{"SLURM_STEP_NUM_NODES", "1"}});
  EXPECT_TRUE(joined(one_host).onOneHost());
  EXPECT_EQ(joined(one_host).store_host, "") << "not needed";
  const Variables master = {{"MASTER_ADDR", "h"}, {"MASTER_PORT", "7"}};
  EXPECT_EQ(joined(with(slurm(), master)).store_host, "h");
  EXPECT_EQ(refused(with(slurm(), {{"SLURM_STEP_NODELIST", "gpu["}})).find("SLURM_STEP_NODELIST="),
            0u);
}

TEST(Place, FirstMatchWins) {
  const Variables slurms_pmi2 = with(slurm(), {{"PMI_RANK", "5"}, {"PMI_SIZE", "8"}});
  const Variables slurms_pmix =
      with(slurm(), {{"PMIX_RANK", "5"}, {"PMIX_NAMESPACE", "slurm.pmix.4711.3"}});
  EXPECT_STREQ(joined(with(slurm(), torchrun())).starter->name, "torchrun");
  EXPECT_STREQ(joined(with(slurm(), openMpi())).starter->name, "Open MPI");
  EXPECT_STREQ(joined(with(slurm(), hydra())).starter->name, "PMI");
  EXPECT_STREQ(joined(slurms_pmi2).starter->name, "Slurm");
  EXPECT_STREQ(joined(slurms_pmix).starter->name, "Slurm");
}

TEST(Place, NoneWhereRanksAreOurOwn) {
  const Variables batch_script = without(slurm(), {"SLURM_STEP_NUM_TASKS"});
  const Variables pty = with(slurm(), {{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}});
  for (const Variables& variables : {Variables(), batch_script, pty}) {
    const auto place = placeOf(variables);
    EXPECT_TRUE(place.ok() && !place->has_value());
  }
}

TEST(Place, WhatIsMissingIsNamed) {
  for (const char* missing : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}) {
    const std::string message = refused(without(torchrun(), {missing}));
    EXPECT_EQ(message.find(std::string(missing) + ": not set"), 0u) << message;
  }
}

TEST(Place, WhatIsWrongIsNamed) {
  const std::pair<const char*, const char*> wrong[] = {{"RANK", "4"},
                                                       {"RANK", "-1"},
                                                       {"RANK", "1 "},
                                                       {"RANK", ""},
                                                       {"WORLD_SIZE", "0"},
                                                       {"WORLD_SIZE", "x"},
                                                       {"WORLD_SIZE", "1025"},
                                                       {"WORLD_SIZE", "99999999999999999999"},
                                                       {"LOCAL_RANK", "9"},
                                                       {"LOCAL_WORLD_SIZE", "1"},
                                                       {"LOCAL_WORLD_SIZE", "5"},
                                                       {"MASTER_PORT", "65535"},
                                                       {"MASTER_PORT", ":1"}};
  for (const auto& [name, value] : wrong) {
    const std::string message = refused(with(torchrun(), {{name, value}}));
    EXPECT_EQ(message.find(std::string(name) + "=" + value + ": "), 0u) << message;
  }
}

TEST(Nodes, GivenOnTheCommandLine) {
  NodeOptions given;
  given.count = 3;
  given.rank = 2;
  given.address = "host";
  given.port = 1234;
  const Variables other = {{"SLURM_NODEID", "0"}, {"MASTER_ADDR", "x"}, {"MASTER_PORT", "1"}};
  const auto nodes = withVariables(other, [&] { return resolveNodes(given); });
  ASSERT_TRUE(nodes.ok()) << nodes.error().message;
  EXPECT_EQ(nodes->count, 3u);
  EXPECT_EQ(nodes->rank, 2u);
  EXPECT_EQ(nodes->address, "host");
  EXPECT_EQ(nodes->port, 1234);
  given.rank = 3;
  EXPECT_EQ(resolveNodes(given).error().message, "--node-rank 3: of 3 hosts; 0 to 2 is right");
}

TEST(Nodes, OneHostNeedsNothing) {
  NodeOptions given;
  given.count = 1;
  const auto nodes = withVariables({{"SLURM_NODEID", "5"}}, [&] { return resolveNodes(given); });
  ASSERT_TRUE(nodes.ok()) << nodes.error().message;
  EXPECT_EQ(nodes->rank, 0u);
  EXPECT_EQ(nodes->address, "");
}

TEST(Nodes, FromTheEnvironment) {
  struct Case {
    Variables variables;
    uint32_t rank;
    std::string address;
    uint16_t port;
  };
  const Case cases[] = {
      {slurm(), 1, "gpu07", static_cast<uint16_t>(20000 + (4711 * 16 + 3) % 10000)},
      {with(slurm(), {{"MASTER_ADDR", "a"}, {"MASTER_PORT", "1000"}}), 1, "a", 1001},
      {{{"GROUP_RANK", "1"}, {"MASTER_ADDR", "a"}}, 1, "a", 29500},
      {{{"LWS_WORKER_INDEX", "0"},
        {"LWS_LEADER_ADDRESS", "lws-0.lws"},
        {"JOB_COMPLETION_INDEX", ""}},
       0,
       "lws-0.lws",
       29500},
      {{{"JOB_COMPLETION_INDEX", "1"}, {"MASTER_ADDR", "job-0.job"}}, 1, "job-0.job", 29500}};
  for (const Case& one : cases) {
    NodeOptions given;
    given.count = 2;
    const auto nodes = withVariables(one.variables, [&] { return resolveNodes(given); });
    ASSERT_TRUE(nodes.ok()) << nodes.error().message;
    EXPECT_EQ(nodes->rank, one.rank);
    EXPECT_EQ(nodes->address, one.address);
    EXPECT_EQ(nodes->port, one.port);
  }
}

TEST(Nodes, WhatIsMissingIsNamed) {
  NodeOptions given;
  given.count = 2;
  const auto message = [&](const Variables& variables) {
    const auto nodes = withVariables(variables, [&] { return resolveNodes(given); });
    return nodes.ok() ? "accepted" : nodes.error().message;
  };
  EXPECT_EQ(message({}).find("--node-rank: not given, and none of SLURM_NODEID, "), 0u);
  EXPECT_EQ(message({{"GROUP_RANK", "0"}}).find("--master-addr: not given, "), 0u);
  EXPECT_EQ(message({{"GROUP_RANK", "2"}}).find("GROUP_RANK=2: a number from 0 to 1"), 0u);
}

}  // namespace
}  // namespace dcc::launch
