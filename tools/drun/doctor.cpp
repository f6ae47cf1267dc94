#include "tools/drun/doctor.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/launch/cores.h"
#include "runtime/launch/machine.h"
#include "runtime/launch/nodes.h"
#include "runtime/launch/place.h"
#include "runtime/text/libraries.h"
#include "tools/drun/nvidia.h"
#include "tools/drun/stdio.h"

namespace dcc::drun {
namespace {

using nlohmann::ordered_json;

std::string join(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

void addBytes(Findings& findings, const char* key, const std::optional<uint64_t>& n,
              const char* absent) {
  findings.add(key, n ? ordered_json(*n) : ordered_json(), n ? bytesText(*n) : absent);
}

void addBuild(Findings& findings) {
  findings.section("drun");
  findings.add("version", DCC_VERSION);
  findings.add("build", DCC_BUILD_TYPE);
  findings.add("compiler",
#ifdef __clang__
               "clang " __clang_version__);
#else
               "gcc " __VERSION__);
#endif
  findings.add("ICU", text::icuVersion());
  findings.add("PCRE2", text::pcre2Version());
}

// Those that kernels may use, of all that the CPU has.
std::vector<std::string> instructionSets(const std::string& root) {
  const char* const known[] = {
      "sse4_2",      "avx2",        "fma",      "f16c",     "avx512f",  "avx512bw", "avx512_vnni",
      "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8",                       // x86
      "asimd",       "asimdhp",     "asimddp",  "bf16",     "i8mm",     "sve",      "sve2"};  // ARM
  std::istringstream flags(" " + launch::cpuinfoField("flags", root) + " " +
                           launch::cpuinfoField("Features", root));
  std::vector<std::string> found;
  for (std::string flag; flags >> flag;) {
    for (const char* name : known) {
      if (flag == name) found.push_back(flag);
    }
  }
  return found;
}

void addCpu(Findings& findings, const std::string& root) {
  findings.section("cpu");
  findings.add("model", launch::cpuModel(root));
  const std::vector<std::string> sets = instructionSets(root);
  findings.add("instruction_sets", sets, sets.empty() ? "unknown" : join(sets, " "));
  std::vector<std::string> kernels = cpuInstructionSets();
  std::erase(kernels, cpuInstructionSet());
  findings.add("kernels", cpuKernels(),
               cpuKernels() + (kernels.empty() ? "" : "; would also run: " + join(kernels, ", ")));

  const uint32_t cores = launch::usableCores(root), affinity = launch::affinityCores();
  const std::optional<double> quota = launch::cpuQuota(root);
  std::ostringstream text;
  text << cores << ": " << affinity << " of " << ::sysconf(_SC_NPROCESSORS_ONLN)
       << " by affinity, ";
  if (quota) {
    text << *quota << " by a cgroup's quota";
  } else {
    text << "no quota of a cgroup";
  }
  findings.add("cores", cores, text.str());
  addBytes(findings, "last_level_cache", launch::lastLevelCacheBytes(root), "unknown");
}

void addMemory(Findings& findings, const std::string& root) {
  const launch::MemoryInfo memory = launch::memoryInfo(root);
  findings.section("memory");
  addBytes(findings, "total", memory.total, "unknown");
  addBytes(findings, "available", memory.available, "unknown");
  addBytes(findings, "cgroup_limit", memory.limit, "none");
}

void addLimit(Findings& findings, const char* key, int resource, bool bytes) {
  rlimit limit;
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) {
    return findings.add(key, nullptr, "unknown");
  }
  const auto text = [bytes](rlim_t n) {
    return n == RLIM_INFINITY ? "unlimited" : bytes ? bytesText(n) : std::to_string(n);
  };
  const ordered_json value =
      limit.rlim_cur == RLIM_INFINITY ? ordered_json("unlimited") : ordered_json(limit.rlim_cur);
  findings.add(
      key, value,
      text(limit.rlim_cur) +
          (limit.rlim_max == limit.rlim_cur ? "" : ", may be raised to " + text(limit.rlim_max)));
}

void addLimits(Findings& findings, const std::string& root) {
  findings.section("limits");
  addLimit(findings, "open_files", RLIMIT_NOFILE, false);
  addLimit(findings, "locked_memory", RLIMIT_MEMLOCK, true);
  addLimit(findings, "address_space", RLIMIT_AS, true);
  // "always [madvise] never"
  std::ifstream in(root + "/sys/kernel/mm/transparent_hugepage/enabled");
  std::string modes;
  std::getline(in, modes);
  const size_t open = modes.find('['), close = modes.find(']');
  const std::string mode = open < close && close != std::string::npos
                               ? modes.substr(open + 1, close - open - 1)
                               : "unknown";
  const char* meaning = mode == "never"     ? "never: weights are in small pages, which is slower"
                        : mode == "unknown" ? "unknown"
                                            : nullptr;
  findings.add("huge_pages", mode, meaning ? meaning : mode + ": weights are in huge pages");
}

void addNvidia(Findings& findings, const std::string& root) {
  findings.section("nvidia");
  const std::vector<std::string> devices = nvidiaDevices(root);
  findings.add(
      "devices", devices,
      devices.empty() ? "none" : std::to_string(devices.size()) + ": " + join(devices, ", "));
  const std::optional<std::string> driver = nvidiaDriver(root);
  findings.add("driver", driver ? ordered_json(*driver) : ordered_json(), driver.value_or("none"));
  for (const SharedLibrary& library : nvidiaLibraries()) {
    const ordered_json value = library.version ? ordered_json(*library.version) : ordered_json();
    const std::string none =
        library.problem.empty() ? "none" : "cannot be loaded: " + library.problem;
    findings.add(library.name, value, library.version.value_or(none));
  }
  findings.add("used", false, "not yet: drun computes on CPUs");
}

// Names of what `starter` tells its ranks.
std::vector<std::string> variablesOf(const launch::Starter& starter) {
  std::vector<std::string> names;
  for (const char* name : {starter.rank, starter.world_size, starter.local_rank, starter.local_size,
                           starter.hosts, starter.job[0], starter.job[1], starter.agent}) {
    if (name != nullptr) names.emplace_back(name);
  }
  return names;
}

void addStarters(Findings& findings) {
  findings.section("starters");
  const launch::Starter* found = launch::findStarter();
  findings.add("found", found != nullptr ? ordered_json(found->name) : ordered_json(),
               found != nullptr ? found->name : "none");
  for (const launch::Starter& starter : launch::starters()) {
    const std::vector<std::string> names = variablesOf(starter);
    findings.add(starter.name, names, join(names, ", "));
  }
}

// Where the process stands by its environment.
std::string meaningText() {
  const auto place = launch::Place::fromEnvironment();
  if (!place.ok()) return "drun DIR refuses: " + place.error().message;
  if (!*place) return "drun DIR starts ranks of its own on this machine";
  const launch::Place& own = **place;
  const std::string size = own.world_size == 0 ? "" : " of " + std::to_string(own.world_size);
  const bool here = own.onOneHost() && !own.job.empty();
  return "drun DIR joins as rank " + std::to_string(own.rank) + size + ", which meet " +
         (here ? "on this host" : "at " + own.store_host + ":" + std::to_string(own.store_port));
}

void addEnvironment(Findings& findings) {
  findings.section("environment");
  const auto add = [&](const char* name) {
    const char* value = std::getenv(name);
    findings.add(name, value ? ordered_json(value) : ordered_json(), value ? value : "not set");
  };
  std::vector<std::string> shown;
  for (const char* name : {launch::kRankVariable, launch::kWorldSizeVariable,
                           launch::kLocalRankVariable, launch::kLocalWorldSizeVariable,
                           launch::kMasterAddressVariable, launch::kMasterPortVariable}) {
    shown.emplace_back(name);
    add(name);
  }
  // Of those that few have, only what is set.
  std::vector<std::string> others(std::begin(launch::kNodeRankVariables),
                                  std::end(launch::kNodeRankVariables));
  for (const launch::Starter& starter : launch::starters()) {
    const std::vector<std::string> names = variablesOf(starter);
    others.insert(others.end(), names.begin(), names.end());
  }
  others.insert(others.end(),
                {"SLURM_STEP_NODELIST", "LWS_LEADER_ADDRESS", "TP_SIZE", "DP_SIZE", "CP_SIZE"});
  for (const std::string& name : others) {
    if (std::getenv(name.c_str()) == nullptr || std::ranges::count(shown, name) > 0) continue;
    shown.push_back(name);
    add(name.c_str());
  }
  const bool secret = std::getenv(launch::kSecretVariable) != nullptr;
  findings.add(launch::kSecretVariable, secret, secret ? "set" : "not set");  // and no more of it
  add(kInstructionsVariable);
  const Status forced = forceCpuInstructionSetFromEnvironment();
  findings.add("meaning",
               forced.ok() ? meaningText() : "drun DIR refuses: " + forced.error().message);
}

}  // namespace

Findings examine(const std::string& root) {
  Findings findings;
  addBuild(findings);
  addCpu(findings, root);
  addMemory(findings, root);
  addLimits(findings, root);
  addNvidia(findings, root);
  addStarters(findings);
  addEnvironment(findings);
  return findings;
}

Status doctor(const Options& options) {
  const Findings findings = examine();
  Output output(nullptr);
  return output.write(options.json ? findings.json() : findings.table());
}

}  // namespace dcc::drun
