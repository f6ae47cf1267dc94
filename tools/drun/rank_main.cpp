#include "tools/drun/rank_main.h"

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/base/progress.h"
#include "runtime/executor/executor.h"
#include "runtime/generate/page_pool.h"
#include "runtime/generate/plan_runner.h"
#include "runtime/launch/binding.h"
#include "runtime/launch/cores.h"
#include "runtime/plan/access.h"
#include "runtime/plan/describe.h"
#include "runtime/plan/directory.h"
#include "runtime/weights/loader.h"
#include "tools/drun/agreement.h"
#include "tools/drun/bench.h"
#include "tools/drun/command.h"
#include "tools/drun/encode_command.h"
#include "tools/drun/hash_ops.h"
#include "tools/drun/inject.h"
#include "tools/drun/memory_check.h"
#include "tools/drun/metered_runner.h"
#include "tools/drun/trace.h"
#include "tools/drun/verify_ranks.h"

namespace dcc::drun {
namespace {

// One communicator per axis of the mesh: that of a replica's ranks for the axis that they are cut
// over. Nothing goes over the axis of replicas.
Result<std::vector<Communicator*>> axesOf(const plan::Plan& plan, Communicator& replica) {
  std::vector<Communicator*> axes;
  for (const plan::fb::Axis* axis : plan::rows(plan->mesh())) {
    const bool used = axis->size() != 1 && plan::text(axis->name()) != "dp";
    if (used && axis->size() != replica.size()) {
      return userError("a mesh with axes other than dp and tp: not built yet");
    }
    axes.push_back(used ? &replica : nullptr);
  }
  return axes;
}

std::unique_ptr<RankZeroCommand> commandOf(const Options& options, const BenchFacts& bench,
                                           Communicator& world) {
  const Waiting waiting = [&world] { return world.standBy(); };
  switch (options.command) {
    case Command::kChat:
      return chatCommand(options, waiting);
    case Command::kLogits:
      return logitsCommand(options, waiting);
    case Command::kBench:
      return benchCommand(options, bench, waiting);
    default:
      return generateCommand(options, waiting);
  }
}

// Of each page group, as far as the command can fill it; all where there is none.
std::vector<uint64_t> pagesInUse(const generate::Limits& limits, const RankZeroCommand* command) {
  if (command != nullptr) {
    const generate::PagePool pool(limits.groups, limits.prefill.max_tokens);
    return pool.mostTaken(command->lengths(), limits.maxSeqs());
  }
  std::vector<uint64_t> pages;
  for (const generate::PageGroupLimits& group : limits.groups) pages.push_back(group.pages);
  return pages;
}

// Of rank 0, for all: they read as much.
std::string loadingText(uint32_t ranks) {
  return "loading weights" +
         (ranks == 1 ? std::string() : " of rank 0 of " + std::to_string(ranks));
}

Result<std::unique_ptr<Backend>> backendFor(const Options& options, plan::Target target,
                                            uint32_t threads, const launch::Rank& rank,
                                            MakeCuda make_cuda) {
  if (target == plan::Target::kCpu) return makeCpuBackend({threads});
  if (make_cuda == nullptr) {
    return userError(
        "--device cuda: this drun was built without CUDA; build it where nvcc is, or "
        "run with --device cpu");
  }
  CudaOptions cuda;
  cuda.local_rank = rank.localRank();
  cuda.deadline = options.timeout;
  cuda.tuning_file = options.dir + "/tuning.json";
  if (options.nccl) cuda.transport = cuda::DeviceTransport::kNccl;
  if (options.meet.transport != launch::Transport::kAuto) {
    cuda.transport = cuda::DeviceTransport::kHost;
  }
  return make_cuda(cuda);
}

Status work(const Options& options, launch::Rank& rank, uint32_t threads, Communicator& world,
            Injector& injector, MakeCuda make_cuda) {
  DCC_ASSIGN(const plan::Manifest manifest, plan::readManifest(options.dir));
  DCC_ASSIGN(plan::Plan plan, plan::loadRank(options.dir, manifest, rank.rank()));
  const plan::Target target = options.device.value_or(manifest.target);
  if (options.nccl && target == plan::Target::kCpu) {
    return userError("--collectives nccl: " + options.dir +
                     " was compiled for the CPU; give --device cuda too");
  }
  // Before anything long begins: whether there is such a device.
  DCC_ASSIGN(std::unique_ptr<Backend> backend,
             backendFor(options, target, threads, rank, make_cuda));
  if (rank.rank() == 0) {
    for (const std::string& note : backend->notes()) std::cerr << "note: " + note + "\n";
  }
  rank.describeBy([plan](uint32_t entry, uint32_t instruction) {
    return plan::placeText(*plan, entry, instruction);
  });
  DCC_RETURN_IF_ERROR(checkAgreement(plan, world));
  const generate::Limits limits = generate::limitsOf(plan);
  const bool encodes = options.command == Command::kClassify || options.command == Command::kEmbed;
  const Replica replica = replicaOf(plan);
  if (replica.count > 1 && !encodes && options.command != Command::kGenerate) {
    return userError(options.dir + ": has " + std::to_string(replica.count) +
                     " replicas (--dp), of which only generate, classify and embed make use; "
                     "compile it without --dp");
  }
  std::unique_ptr<Communicator> part;
  if (replica.count > 1) {
    DCC_ASSIGN(part, world.split(replica.groups));
  }
  Communicator& group = part ? *part : world;
  DCC_ASSIGN(const std::vector<Communicator*> axes, axesOf(plan, group));

  EncodeOutput output{.name = "logits"};
  if (encodes) {
    DCC_ASSIGN(output, encodeOutput(plan, options));
  }

  BenchFacts bench;
  std::unique_ptr<RankZeroCommand> command;
  std::unique_ptr<EncodeCommand> encode;
  std::unique_ptr<NewFile> trace_file;
  if (rank.rank() == 0) {
    DCC_ASSIGN(trace_file, traceFile(options.trace));
  }
  if (rank.rank() == 0 && encodes) {
    const Waiting waiting = [&world] { return world.standBy(); };
    encode = options.command == Command::kEmbed ? embedCommand(options, output, waiting)
                                                : classifyCommand(options, output, waiting);
    DCC_RETURN_IF_ERROR(encode->prepare(limits));
  } else if (rank.rank() == 0) {
    command = commandOf(options, bench, world);
    DCC_RETURN_IF_ERROR(command->prepare(limits));
  }
  const auto transport = rank.overTcp() ? TransportKind::kTcp : TransportKind::kSharedMemory;
  if (target == plan::Target::kCpu) {  // a GPU says by itself what it has not got
    DCC_RETURN_IF_ERROR(
        checkMemory(plan, {threads, transport}, pagesInUse(limits, command.get()), world));
  }
  if (options.command == Command::kBench) {
    DCC_ASSIGN(bench, benchFacts(plan, threads, world));
  }

  const auto start = std::chrono::steady_clock::now();
  world.whereabouts().set(&Whereabouts::place, kLoading);
  injector.reached("load");
  DCC_ASSIGN(WeightLoader loader, WeightLoader::open(plan, options.checkpoint));
  std::optional<Progress> line;
  if (rank.rank() == 0) line.emplace(loadingText(world.size()), "bytes");
  const auto load = [&](std::span<const WeightPart> parts) {
    return loader.load(parts, threads, [&](uint64_t done, uint64_t all) {
      world.noteProgress();
      if (line) line->update(done, all);
    });
  };
  DCC_ASSIGN(const std::unique_ptr<Executor> executor,
             Executor::create(std::move(plan), std::move(backend), axes, load));
  line.reset();
  executor->publish(world.whereabouts());
  DCC_ASSIGN(Observer* const fault, injector.watch(*executor->plan()));
  if (fault != nullptr) executor->watch(fault);
  bench.load_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (options.command == Command::kTune) {
    // All ranks' products have the same sizes, or nearly: one measures, while the others are still.
    if (rank.rank() == 0) DCC_RETURN_IF_ERROR(executor->tune(options.dir + "/tuning.json"));
    return world.barrier();
  }
  if (options.command == Command::kBench) {
    DCC_ASSIGN(bench.copy_bandwidth, executor->deviceBandwidth(world));
  }
  generate::PlanRunner plan_runner(*executor, output.name);
  std::unique_ptr<HashingRunner> hashing;
  if (!options.hash_ops.empty() && part) {
    return userError("--hash-ops: compares the steps of one replica; compile without --dp");
  }
  if (!options.hash_ops.empty()) {
    DCC_ASSIGN(hashing, HashingRunner::create(options.hash_ops, *executor, plan_runner, world));
  }
  std::unique_ptr<TracingRunner> tracing;
  if (!options.trace.empty()) {
    DCC_ASSIGN(tracing, TracingRunner::create(*executor, plan_runner, world, rank.onOneHost()));
  }
  generate::StepRunner& inner = hashing   ? *hashing
                                : tracing ? static_cast<generate::StepRunner&>(*tracing)
                                          : plan_runner;
  std::optional<VerifyingRunner> verifying;
  if (options.verify_ranks) {
    verifying.emplace(*executor, inner, group, replica.groups[replica.index]);
  }
  generate::StepRunner& checked = verifying ? *verifying : inner;
  std::unique_ptr<MeteredRunner> metered;
  if (options.command == Command::kBench && target == plan::Target::kCpu) {
    DCC_ASSIGN(metered, MeteredRunner::create(checked, executor->weightMemory(), threads,
                                              rank.localSize(), world, bench.reading));
  }
  generate::StepRunner& runner = metered ? *metered : checked;
  const auto serve = [&]() -> Status {
    if (encodes) {
      EncodeRounds rounds(options, output, limits, replica, world, group, runner);
      return encode ? encode->run(rounds) : rounds.follow();
    }
    // Rank 0 decides: the others' files may be other ones.
    generate::SamplingOptions sampling;
    if (command) sampling = command->sampling();
    DCC_RETURN_IF_ERROR(world.broadcast(&sampling, sizeof(sampling), 0));
    if (sampling.greedy() && options.command != Command::kLogits) executor->wantLargestOnly();
    const std::unique_ptr<generate::Sampler> sampler = generate::makeSampler(sampling, group);
    generate::StepLoop loop(limits, group, runner, *sampler);
    if (part) {
      Dealer dealer(limits, replica, world, loop, options.dir, options.stop);
      if (!command) return dealer.follow();
      DCC_RETURN_IF_ERROR(command->deal(dealer));
      return dealer.dismiss();
    }
    if (!command) return loop.follow();
    DCC_RETURN_IF_ERROR(command->run(loop));
    return loop.dismiss();
  };
  DCC_RETURN_IF_ERROR(serve());
  if (tracing) DCC_RETURN_IF_ERROR(tracing->write(trace_file.get(), options.trace));
  world.whereabouts().set(&Whereabouts::place, kEnding);
  injector.reached("shutdown");
  return Status::success();
}

}  // namespace

Status rankMain(const Options& options, launch::Rank& rank, MakeCuda make_cuda) {
  DCC_ASSIGN(const std::optional<Injection> injection, injectionFromEnvironment());
  if (injection && injection->rank >= rank.worldSize()) {
    return userError(std::string(kInjectVariable) + ": rank " + std::to_string(injection->rank) +
                     " of " + std::to_string(rank.worldSize()) + "; they count from 0");
  }
  Injector injector(injection, rank.rank());
  injector.reached("start");
  DCC_RETURN_IF_ERROR(rank.meet(options.meet));
  const uint32_t cores = launch::usableCores();
  const uint32_t ranks = rank.localSize();
  const uint32_t threads = options.threads.value_or(launch::threadsPerRank(cores, ranks));
  WaitOptions wait;
  wait.deadline = options.timeout;
  wait.crowded = uint64_t{threads} * ranks > cores;
  DCC_RETURN_IF_ERROR(rank.connect(wait));
  if (options.bind) DCC_RETURN_IF_ERROR(launch::bindToOwnCpus(rank.world(), threads));
  return work(options, rank, threads, rank.world(), injector, make_cuda);
}

}  // namespace dcc::drun
