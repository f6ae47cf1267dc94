#include "compiler/explain.h"

#include <cstdarg>
#include <cstdio>
#include <map>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/plan/access.h"
#include "runtime/plan/directory.h"
#include "runtime/plan/plan.h"

namespace dcc {
namespace {

namespace fb = plan::fb;
using plan::rows;
using plan::text;

std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));
std::string format(const char* pattern, ...) {
  char line[512];
  va_list args;
  va_start(args, pattern);
  std::vsnprintf(line, sizeof line, pattern, args);
  va_end(args);
  return line;
}

std::string bytesText(uint64_t bytes) {
  if (bytes < 10'000) return format("%llu B", static_cast<unsigned long long>(bytes));
  if (bytes < 10'000'000) return format("%.1f KiB", double(bytes) / 1024);
  if (bytes < 10'000'000'000) return format("%.1f MiB", double(bytes) / (1 << 20));
  return format("%.1f GiB", double(bytes) / (1 << 30));
}

// Collectives of one kind and reason in an entry.
struct Line {
  uint32_t count = 0;
  uint64_t bytes = 0;  // a rank's input, per row
};

std::string collectives(const fb::Plan& plan, const fb::Entry& entry) {
  std::map<std::pair<std::string, std::string>, Line> lines;
  uint32_t count = 0;
  uint64_t bytes = 0;
  for (const fb::Instruction* instruction : rows(entry.instructions())) {
    const fb::Collective* collective = instruction->body_as_Collective();
    if (!collective) continue;
    const fb::Buffer* input = entry.buffers()->Get(collective->input());
    uint64_t per_row = input->cols() * byteSize(static_cast<DType>(input->dtype()));
    std::string kind = std::string(fb::EnumNameCollectiveKind(collective->kind())) + " over " +
                       std::string(text(plan.mesh()->Get(collective->axis())->name()));
    Line& line = lines[{kind, std::string(text(instruction->because()))}];
    ++line.count;
    line.bytes += per_row;
    ++count;
    bytes += per_row;
  }
  std::string out = format("entry %.*s: %u instructions, %u collectives, %s per token and rank\n",
                           int(text(entry.name()).size()), text(entry.name()).data(),
                           rows(entry.instructions()).size(), count, bytesText(bytes).c_str());
  for (const auto& [key, line] : lines) {
    out += format("  %4u x %-22s %10s per token  because %s\n", line.count, key.first.c_str(),
                  bytesText(line.bytes / line.count).c_str(), key.second.c_str());
  }
  return out;
}

}  // namespace

Result<std::string> explain(const std::string& directory) {
  DCC_RETURN_IF_ERROR(plan::verifyDirectory(directory));
  DCC_ASSIGN(plan::Manifest manifest, plan::readManifest(directory));
  std::string out = manifest.model + " over " + std::to_string(manifest.ranks.size()) + " rank" +
                    (manifest.ranks.size() == 1 ? "" : "s") + ":";
  for (const plan::MeshAxis& axis : manifest.mesh) {
    out += " " + axis.name + " = " + std::to_string(axis.size);
  }
  out += "\ncompilation " + manifest.compilation_id.hex() + "\n\n";

  out += format("%-6s %12s %12s %12s %12s\n", "rank", "weights", "KV cache", "arena", "together");
  std::vector<plan::Plan> plans;
  for (uint32_t rank = 0; rank < manifest.ranks.size(); ++rank) {
    DCC_ASSIGN(plan::Plan plan, plan::loadRank(directory, manifest, rank));
    plan::Memory memory = plan::memoryOf(*plan);
    out += format("%-6u %12s %12s %12s %12s\n", rank, bytesText(memory.weights).c_str(),
                  bytesText(memory.cache).c_str(), bytesText(memory.arena).c_str(),
                  bytesText(memory.weights + memory.cache + memory.arena).c_str());
    plans.push_back(std::move(plan));
  }
  const fb::Plan& first = *plans.front();
  for (const fb::File* file : rows(first.files())) {
    if (!file->random()) continue;
    out += "\ndummy weights: random by seed " + std::to_string(file->random()->seed()) + "\n";
    break;
  }
  out += format("\nfor up to %u sequences of %llu tokens, %u tokens a step\n\n", first.max_seqs(),
                static_cast<unsigned long long>(first.max_seq_len()), first.max_tokens());
  for (const fb::Entry* entry : rows(first.entries())) out += collectives(first, *entry);
  return out;
}

}  // namespace dcc
