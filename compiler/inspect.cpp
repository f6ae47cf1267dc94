#include "compiler/inspect.h"

#include <filesystem>

#include "compiler/pipeline.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "runtime/plan/directory.h"
#include "runtime/plan/plan.h"

namespace fs = std::filesystem;

namespace dcc {

std::string irFileName(std::string_view phase) {
  for (size_t i = 0; i < phases().size(); ++i) {
    if (phases()[i].name == phase)
      return "ir/" + std::to_string(i) + "_" + std::string(phase) + ".mlir";
  }
  return "";
}

namespace {

// What a reader should know before the first line; comments, so that the whole is IR that compiles.
std::string heading(const plan::Manifest& manifest, const Phase& phase) {
  std::string mesh;
  for (const plan::MeshAxis& axis : manifest.mesh) {
    mesh += (mesh.empty() ? "" : ", ") + axis.name + " = " + std::to_string(axis.size);
  }
  std::string text = "// " + manifest.model + " over " + mesh + ", phase " +
                     std::string(phase.name) + ": " + std::string(phase.summary) + ".\n";
  text +=
      "// <256 x 512 x f32, [_, tp]>: the columns are cut over tp; `partial tp`: the value is the\n"
      "// sum of what the ranks hold. `rule`: what of the tp_plan cut a weight; `because`: what a\n"
      "// collective is for. loc(\"...\"): the module it belongs to.\n";
  return text;
}

// Lines about a layer: those with the number in a module's path, "layers.K." or "layer.K.", and
// what opens and closes the regions they are in.
std::string onlyLayer(llvm::StringRef text, int64_t layer) {
  std::string name = "." + std::to_string(layer);
  std::string out;
  llvm::SmallVector<llvm::StringRef> lines;
  text.split(lines, '\n', -1, /*KeepEmpty=*/false);
  for (llvm::StringRef line : lines) {
    bool names = false;
    for (size_t at = line.find(name); at != llvm::StringRef::npos; at = line.find(name, at + 1)) {
      size_t end = at + name.size();
      // Other than the digits of a number.
      names |= at > 0 && llvm::isAlpha(line[at - 1]) &&
               (end == line.size() || !llvm::isAlnum(line[end]));
    }
    bool region = line.ends_with("{") || line.ltrim().starts_with("}") ||
                  line.contains("func.func") || line.contains("plan.entry");
    if (names || region) out += (line + "\n").str();
  }
  return out;
}

}  // namespace

Result<std::string> inspect(const InspectOptions& options) {
  std::error_code error;
  if (!fs::exists(fs::path(options.directory) / "manifest.json", error)) {
    return userError(options.directory +
                     ": is no plan directory; `dcc compile MODEL -o DIR` makes one");
  }
  if (options.rank) {
    std::string path = options.directory + "/rank_" + std::to_string(*options.rank) + ".dplan";
    if (!fs::exists(path, error)) {
      return userError(options.directory + ": has no rank " + std::to_string(*options.rank));
    }
    DCC_ASSIGN(plan::Plan plan, plan::Plan::load(path));
    return plan::dump(*plan);
  }
  std::string phase = options.phase.empty() ? "collectives" : options.phase;
  if (!findPhase(phase)) {
    return userError("--phase " + phase + ": there are " + phaseNames());
  }
  std::string path = options.directory + "/" + irFileName(phase);
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer) {
    return userError(options.directory + ": has no IR of phase " + phase +
                     "; it was compiled from the IR of a later one");
  }
  DCC_ASSIGN(plan::Manifest manifest, plan::readManifest(options.directory));
  llvm::StringRef ir = (*buffer)->getBuffer();
  return heading(manifest, *findPhase(phase)) +
         (options.layer ? onlyLayer(ir, *options.layer) : ir.str());
}

}  // namespace dcc
