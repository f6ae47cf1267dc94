#include <fcntl.h>
#include <stdio.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "runtime/base/file.h"
#include "runtime/plan/access.h"
#include "runtime/plan/manifest.h"

namespace dcc::plan {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

// Removes a directory unless told to keep it.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(fs::path path) : path_(std::move(path)) {}
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  fs::path path_;
};

Error cannotWrite(const std::string& dir, const std::error_code& error) {
  return fileError(dir, "cannot be written", error.value());
}

// The plans as a reader will see them: a plan that is not valid is never written.
Result<std::vector<Plan>> checkedPlans(std::span<const std::vector<uint8_t>> bytes,
                                       const std::string& dir) {
  std::vector<Plan> plans;
  for (uint32_t rank = 0; rank < bytes.size(); ++rank) {
    Result<Plan> plan = Plan::fromBytes(bytes[rank], rankFile(rank));
    if (!plan.ok()) return runtimeError(plan.error().message);
    plans.push_back(std::move(plan).value());
  }
  Status status = verifyRanks(plans, dir);
  if (!status.ok()) return runtimeError(status.error().message);
  return plans;
}

std::string manifestText(std::span<const Plan> plans, std::span<const ExtraFile> files,
                         Target target) {
  const fb::Plan& first = *plans[0];
  ordered_json manifest = {{"format", kManifestFormat},
                           {"major", first.major()},
                           {"minor", first.minor()},
                           {"model", text(first.model())},
                           {"compilation_id", hashOf(*first.compilation_id()).hex()},
                           {"world_size", plans.size()},
                           {"mesh", ordered_json::array()},
                           {"target", name(target)},
                           {"checkpoint", text(first.checkpoint())},
                           {"ranks", ordered_json::array()},
                           {"files", ordered_json::array()}};
  for (const fb::Axis* axis : rows(first.mesh())) {
    manifest["mesh"].push_back({{"name", text(axis->name())}, {"size", axis->size()}});
  }
  for (const Plan& plan : plans) {
    manifest["ranks"].push_back(
        {{"file", rankFile(plan->rank())}, {"program_hash", hashOf(*plan->program_hash()).hex()}});
  }
  for (const ExtraFile& file : files) manifest["files"].push_back(file.name);
  // Paths need not be UTF-8; they are for people here.
  return manifest.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

// `dir` without symbolic links, "." and a trailing slash, so that it has a parent to write in.
Result<fs::path> resolve(const std::string& dir) {
  std::error_code error;
  fs::path path = dir.empty() ? fs::path() : fs::weakly_canonical(fs::absolute(dir, error), error);
  if (error) return cannotWrite(dir, error);
  if (!path.has_filename()) path = path.parent_path();
  if (!path.has_filename()) return userError(dir + ": cannot be a plan directory");
  return path;
}

// What dcc wrote into an existing directory, relative to it; an error when the directory may not
// be replaced.
Result<std::set<fs::path>> ownFiles(const fs::path& target, const std::string& dir) {
  std::set<fs::path> own;
  std::error_code error;
  fs::file_status status = fs::status(target, error);
  if (status.type() == fs::file_type::not_found) return own;
  if (status.type() != fs::file_type::directory) {
    return userError(dir + ": is in the way and no directory; name another one");
  }
  bool empty = fs::is_empty(target, error);
  if (error) return cannotWrite(dir, error);
  if (empty) return own;
  if (!fs::exists(target / kManifestFile, error)) {
    return userError(dir + ": is not empty and no plan directory; name another one");
  }
  DCC_ASSIGN(Manifest manifest, readManifest(dir));
  own.insert(kManifestFile);
  for (const Manifest::Rank& rank : manifest.ranks) own.insert(rank.file);
  for (const std::string& file : manifest.files) own.insert(fs::path(file).lexically_normal());
  return own;
}

Status writeInto(const fs::path& into, const std::string& name, std::string_view bytes,
                 const std::string& dir) {
  std::error_code error;
  fs::create_directories((into / name).parent_path(), error);
  if (error) return cannotWrite(dir, error);
  return writeFile(into / name, bytes, dir + "/" + name);  // the temporary name tells nothing
}

// Puts `from` in the place of `target`; what was there is then at `from`.
std::error_code exchange(const fs::path& from, const fs::path& target) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0)
    return {};
  if (errno != EINVAL && errno != ENOSYS) return {errno, std::generic_category()};
  // A file system without exchange: for a moment there is nothing at `target`.
  std::error_code error;
  fs::path old = from;
  old += ".old";
  fs::rename(target, old, error);
  if (error) return error;
  fs::rename(from, target, error);
  std::error_code ignored;
  fs::rename(old, error ? target : from, ignored);
  return error;
}

// Moves the files below `old` that are not `own` to the same place below `now`.
std::error_code carryOver(const fs::path& old, const std::set<fs::path>& own, const fs::path& now) {
  std::error_code error;
  std::vector<fs::path> foreign;
  for (fs::recursive_directory_iterator it(old, error), end; !error && it != end;
       it.increment(error)) {
    fs::path name = it->path().lexically_relative(old);
    bool folder = it->is_directory(error) && !it->is_symlink(error);
    if (!folder && !own.contains(name)) foreign.push_back(name);
  }
  for (const fs::path& name : foreign) {
    if (error) break;
    if (fs::exists(now / name, error)) continue;
    fs::create_directories((now / name).parent_path(), error);
    if (!error) fs::rename(old / name, now / name, error);
  }
  return error;
}

}  // namespace

Status writeDirectory(const std::string& dir, std::span<const std::vector<uint8_t>> plans,
                      std::span<const ExtraFile> files, Target target) {
  DCC_ASSIGN(std::vector<Plan> checked, checkedPlans(plans, dir));
  std::set<std::string> names = {kManifestFile};
  for (uint32_t rank = 0; rank < plans.size(); ++rank) names.insert(rankFile(rank));
  for (const ExtraFile& file : files) {
    if (!staysBelow(file.name) || !names.insert(file.name).second) {
      return runtimeError(dir + ": file " + file.name + " cannot stand in a plan directory");
    }
  }
  DCC_ASSIGN(const fs::path path, resolve(dir));
  DCC_ASSIGN(std::set<fs::path> own, ownFiles(path, dir));

  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return cannotWrite(dir, error);
  TemporaryDirectory temporary(
      path.parent_path() / ("." + path.filename().string() + ".tmp-" + std::to_string(::getpid())));
  fs::remove_all(temporary.path(), error);
  fs::create_directory(temporary.path(), error);
  if (error) return cannotWrite(dir, error);
  for (uint32_t rank = 0; rank < plans.size(); ++rank) {
    std::string_view bytes(reinterpret_cast<const char*>(plans[rank].data()), plans[rank].size());
    DCC_RETURN_IF_ERROR(writeInto(temporary.path(), rankFile(rank), bytes, dir));
  }
  for (const ExtraFile& file : files) {
    DCC_RETURN_IF_ERROR(writeInto(temporary.path(), file.name, file.bytes, dir));
  }
  DCC_RETURN_IF_ERROR(
      writeInto(temporary.path(), kManifestFile, manifestText(checked, files, target), dir));

  if (own.empty()) {  // nothing or an empty directory is there, which rename replaces
    fs::rename(temporary.path(), path, error);
    if (error) return cannotWrite(dir, error);
    temporary.keep();
    return Status::success();
  }
  error = exchange(temporary.path(), path);
  if (error) return cannotWrite(dir, error);
  error = carryOver(temporary.path(), own, path);
  if (error) {
    std::string kept = temporary.path();
    temporary.keep();
    return runtimeError(dir + ": was written, but files of the old directory could not be moved: " +
                        error.message() + "; they are in " + kept);
  }
  return Status::success();
}

}  // namespace dcc::plan
