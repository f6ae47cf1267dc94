#include "runtime/plan/directory.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/printable.h"
#include "runtime/plan/access.h"
#include "runtime/plan/common_items.h"
#include "runtime/plan/manifest.h"
#include "runtime/plan/mesh.h"

namespace dcc::plan {
namespace {

constexpr JsonLimits kManifestLimits = {.depth = 8, .bytes = 64 << 20};

std::string join(const std::string& dir, const std::string& file) { return dir + "/" + file; }

Result<Hash> hashField(const JsonFields& fields, std::string_view key) {
  DCC_ASSIGN(std::string digits, fields.string(key));
  std::optional<Hash> hash = Hash::fromHex(digits);
  if (!hash) return fields.error(key, "must be 32 hexadecimal digits");
  return *hash;
}

Status parseMesh(const JsonFields& fields, Manifest& manifest) {
  DCC_ASSIGN(const nlohmann::json* mesh, fields.array("mesh"));
  for (const nlohmann::json& element : *mesh) {
    DCC_ASSIGN(JsonFields axis, JsonFields::of(element, fields.where() + ": mesh"));
    DCC_ASSIGN(std::string name, axis.string("name"));
    DCC_ASSIGN(int64_t size, axis.integer("size", 1, kMaxRanks));
    manifest.mesh.push_back({std::move(name), static_cast<uint32_t>(size)});
  }
  return Status::success();
}

Status parseRanks(const JsonFields& fields, Manifest& manifest) {
  DCC_ASSIGN(const nlohmann::json* ranks, fields.array("ranks"));
  for (const nlohmann::json& element : *ranks) {
    DCC_ASSIGN(JsonFields rank, JsonFields::of(element, fields.where() + ": ranks"));
    DCC_ASSIGN(std::string file, rank.string("file"));
    if (file != rankFile(static_cast<uint32_t>(manifest.ranks.size()))) {
      return rank.error("file",
                        "is " + printable(file) + "; rank_K.dplan in rank order is expected");
    }
    DCC_ASSIGN(Hash program, hashField(rank, "program_hash"));
    manifest.ranks.push_back({std::move(file), program});
  }
  uint64_t world = 1;
  for (const MeshAxis& axis : manifest.mesh)
    world = std::min<uint64_t>(world * axis.size, UINT32_MAX);
  DCC_ASSIGN(int64_t stated, fields.integer("world_size"));
  if (manifest.ranks.size() != world || stated != static_cast<int64_t>(world)) {
    return fields.error("world_size", "the mesh, the ranks and world_size do not agree");
  }
  return Status::success();
}

}  // namespace

Result<Manifest> parseManifest(std::string_view text, const std::string& name) {
  DCC_ASSIGN(nlohmann::json root, parseJson(text, name, kManifestLimits));
  DCC_ASSIGN(JsonFields fields, JsonFields::of(root, name));
  DCC_ASSIGN(std::string format, fields.stringOr("format", ""));
  if (format != kManifestFormat) {
    return fields.error("format", "is not \"" + std::string(kManifestFormat) +
                                      "\"; this is no plan directory of dcc");
  }
  DCC_ASSIGN(int64_t major, fields.integer("major"));
  if (major != kMajor) {
    return fields.error("major", "is " + std::to_string(major) + "; this build reads " +
                                     std::to_string(kMajor) + ", so compile the model again");
  }
  Manifest manifest;
  DCC_ASSIGN(manifest.model, fields.stringOr("model", ""));
  DCC_ASSIGN(const std::string target, fields.stringOr("target", "cpu"));
  if (target != "cpu" && target != "cuda") {
    return fields.error("target", "is \"" + printable(target) + "\"; cpu or cuda is expected");
  }
  manifest.target = target == "cuda" ? Target::kCuda : Target::kCpu;
  DCC_ASSIGN(manifest.checkpoint, fields.stringOr("checkpoint", ""));
  DCC_ASSIGN(manifest.compilation_id, hashField(fields, "compilation_id"));
  DCC_RETURN_IF_ERROR(parseMesh(fields, manifest));
  DCC_RETURN_IF_ERROR(parseRanks(fields, manifest));
  DCC_ASSIGN(const nlohmann::json* files, fields.array("files"));
  for (const nlohmann::json& file : *files) {
    if (!file.is_string() || !staysBelow(file.get_ref<const std::string&>())) {
      return fields.error("files", "must be paths below the directory");
    }
    manifest.files.push_back(file.get<std::string>());
  }
  std::vector<Hash> programs;
  for (const Manifest::Rank& rank : manifest.ranks) programs.push_back(rank.program_hash);
  if (compilationId(programs) != manifest.compilation_id) {
    return fields.error("compilation_id", "is not that of the ranks' program hashes");
  }
  return manifest;
}

Result<Manifest> readManifest(const std::string& dir) {
  std::string path = join(dir, kManifestFile);
  struct stat info;
  if (::stat(dir.c_str(), &info) != 0) return fileError(dir, "cannot be read", errno);
  if (!S_ISDIR(info.st_mode)) {
    return userError(dir + ": is no directory; the directory that `dcc compile` wrote is expected");
  }
  if (::stat(path.c_str(), &info) != 0 && errno == ENOENT) {
    return userError(dir +
                     ": is no plan directory: it has no manifest.json; the directory that "
                     "`dcc compile` wrote is expected");
  }
  DCC_ASSIGN(std::string text, readFile(path, kManifestLimits.bytes));
  return parseManifest(text, path);
}

namespace {

Result<Plan> loadFile(const std::string& dir, const Manifest& manifest, uint32_t rank) {
  std::string path = join(dir, manifest.ranks[rank].file);
  DCC_ASSIGN(Plan plan, Plan::load(path));
  if (plan->rank() == rank) return plan;
  return userError(path + ": is the plan of rank " + std::to_string(plan->rank()) +
                   "; files of this directory were exchanged, so compile the model again");
}

bool belongs(const fb::Plan& plan, const Manifest& manifest) {
  bool same_mesh = rows(plan.mesh()).size() == manifest.mesh.size();
  for (uint32_t i = 0; same_mesh && i < manifest.mesh.size(); ++i) {
    const fb::Axis& axis = *plan.mesh()->Get(i);
    same_mesh = manifest.mesh[i] == MeshAxis{std::string(text(axis.name())), axis.size()};
  }
  return same_mesh && hashOf(*plan.compilation_id()) == manifest.compilation_id &&
         hashOf(*plan.program_hash()) == manifest.ranks[plan.rank()].program_hash;
}

Error isForeign(const std::string& dir, const Manifest& manifest, uint32_t rank,
                const std::string& difference) {
  return userError(join(dir, manifest.ranks[rank].file) + ": is of another compilation than " +
                   join(dir, kManifestFile) + (difference.empty() ? "" : ": " + difference) +
                   "; compile the model again");
}

}  // namespace

Result<Plan> loadRank(const std::string& dir, const Manifest& manifest, uint32_t rank) {
  if (rank >= manifest.ranks.size()) {
    return userError(dir + ": is for " + std::to_string(manifest.ranks.size()) +
                     " ranks; there is no rank " + std::to_string(rank));
  }
  DCC_ASSIGN(Plan plan, loadFile(dir, manifest, rank));
  if (!belongs(*plan, manifest)) return isForeign(dir, manifest, rank, "");
  return plan;
}

Status verifyDirectory(const std::string& dir) {
  DCC_ASSIGN(Manifest manifest, readManifest(dir));
  std::vector<Plan> plans;
  std::optional<uint32_t> own, foreign;  // the first of each
  for (uint32_t rank = 0; rank < manifest.ranks.size(); ++rank) {
    DCC_ASSIGN(Plan plan, loadFile(dir, manifest, rank));
    std::optional<uint32_t>& first = belongs(*plan, manifest) ? own : foreign;
    first = first.value_or(rank);
    plans.push_back(std::move(plan));
  }
  if (foreign) {
    std::string difference;
    if (own) {
      difference = firstDifference(*plans[*foreign], "rank " + std::to_string(*own), *plans[*own]);
    }
    return isForeign(dir, manifest, *foreign, difference);
  }
  for (const std::string& file : manifest.files) {
    if (auto opened = openInput(join(dir, file)); !opened.ok()) return opened.error();
  }
  return verifyRanks(plans, dir);
}

}  // namespace dcc::plan
