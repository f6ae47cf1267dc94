#include "tools/drun/world.h"

#include <cstdlib>
#include <string>

#include "runtime/plan/directory.h"

namespace dcc::drun {
namespace {

std::string ranksText(uint32_t n) { return std::to_string(n) + (n == 1 ? " rank" : " ranks"); }

// "tp" of a mesh; 1 where it has no such axis.
uint32_t axisSize(const plan::Manifest& manifest, const std::string& name) {
  for (const plan::MeshAxis& axis : manifest.mesh) {
    if (axis.name == name) return axis.size;
  }
  return 1;
}

// TP_SIZE, DP_SIZE and CP_SIZE, as scripts for transformers and accelerate set them, must be those
// of the plans; what is not set is taken from there.
Status checkMesh(const plan::Manifest& manifest, const std::string& dir, uint64_t world_size) {
  std::string given, wanted, compiled;
  uint64_t product = 1;
  bool same = true;
  for (const auto& [variable, axis] :
       {std::pair("TP_SIZE", "tp"), std::pair("DP_SIZE", "dp"), std::pair("CP_SIZE", "cp")}) {
    const uint32_t size = axisSize(manifest, axis);
    uint32_t want = size;
    if (std::getenv(variable) != nullptr) {
      DCC_ASSIGN(want, launch::numberVariable(variable, 1u << 16));
      given += std::string(given.empty() ? "" : " ") + variable + "=" + std::to_string(want);
    }
    same = same && want == size;
    product *= want;
    wanted += (wanted.empty() ? "" : " × ") + std::to_string(want);
    compiled += (compiled.empty() ? "" : " × ") + std::to_string(size);
  }
  if (given.empty() || (same && product == world_size)) return Status::success();
  return userError(given + ": world size must equal TP × DP × CP = " + wanted + " = " +
                   std::to_string(product) + ", and is " + std::to_string(world_size) + "; " + dir +
                   " is compiled for " + compiled + " = " +
                   ranksText(static_cast<uint32_t>(manifest.ranks.size())));
}

Result<plan::Manifest> verifiedManifest(const std::string& dir) {
  DCC_RETURN_IF_ERROR(plan::verifyDirectory(dir));
  return plan::readManifest(dir);
}

// `by`: what decides how many ranks there are, `what`: what has decided now.
Error otherSize(const std::string& dir, uint32_t compiled, const std::string& what, uint32_t given,
                const std::string& by) {
  return userError(what + ": " + dir + " is compiled for " + ranksText(compiled) +
                   "; compile it again with --tp " + std::to_string(given) + " or run it with " +
                   by + " " + std::to_string(compiled));
}

}  // namespace

Result<launch::LaunchOptions> ranksToLaunch(const Options& options, const launch::Nodes& nodes) {
  if (options.meet.store_port != 0 && nodes.count == 1 &&
      options.meet.transport != launch::Transport::kTcp) {
    return userError("--store-port: means nothing to ranks of one drun, which share memory");
  }
  DCC_ASSIGN(const plan::Manifest manifest, verifiedManifest(options.dir));
  const auto ranks = static_cast<uint32_t>(manifest.ranks.size());
  if (!options.nproc && ranks % nodes.count != 0) {
    return userError("--nnodes " + std::to_string(nodes.count) + ": " + options.dir +
                     " is compiled for " + ranksText(ranks) +
                     ", which these hosts cannot share evenly");
  }
  const uint32_t local = options.nproc.value_or(ranks / nodes.count);
  const uint64_t all = uint64_t{local} * nodes.count;
  DCC_RETURN_IF_ERROR(checkMesh(manifest, options.dir, all));
  if (all != ranks && nodes.count == 1) {
    return otherSize(options.dir, ranks, "--nproc " + std::to_string(local), local, "--nproc");
  }
  if (all != ranks) {
    return userError("--nnodes " + std::to_string(nodes.count) + " with --nproc " +
                     std::to_string(local) + ": " + std::to_string(all) + " ranks; " + options.dir +
                     " is compiled for " + std::to_string(ranks));
  }
  launch::LaunchOptions launch;
  launch.ranks = local;
  launch.first_rank = nodes.rank * local;
  launch.world_size = ranks;
  launch.master_address = nodes.address;
  launch.master_port = nodes.port;
  return launch;
}

Result<launch::Place> placeInWorld(const Options& options, launch::Place place) {
  const launch::Starter& starter = *place.starter;
  if (options.nproc && place.world_size != 0 && *options.nproc != place.world_size) {
    return userError("--nproc " + std::to_string(*options.nproc) + ": " + starter.world_size +
                     " is " + std::to_string(place.world_size) +
                     "; who starts the ranks decides how many there are, so leave --nproc out");
  }
  DCC_ASSIGN(const plan::Manifest manifest, verifiedManifest(options.dir));
  const auto ranks = static_cast<uint32_t>(manifest.ranks.size());
  if (place.world_size == 0) place.world_size = options.nproc.value_or(ranks);
  DCC_RETURN_IF_ERROR(checkMesh(manifest, options.dir, place.world_size));
  if (starter.world_size != nullptr && place.world_size != ranks) {
    return otherSize(options.dir, ranks,
                     starter.world_size + (" " + std::to_string(place.world_size)),
                     place.world_size, starter.size_option);
  }
  if (place.rank >= ranks || place.world_size != ranks) {
    return userError(std::string(starter.rank) + "=" + std::to_string(place.rank) + ": " +
                     options.dir + " is compiled for " + ranksText(ranks) +
                     "; as many processes are right");
  }
  return place;
}

}  // namespace dcc::drun
