#include "compiler/explain.h"

#include "compiler/explanation.h"
#include "runtime/launch/cores.h"
#include "runtime/plan/access.h"
#include "runtime/plan/mesh.h"

namespace dcc {
namespace {

namespace fb = plan::fb;
using plan::rows;
using plan::text;

// What was asked for, or as much as there may be of it.
Result<int64_t> stepSize(const char* option, std::optional<uint32_t> asked, int64_t most) {
  if (!asked) return most;
  if (*asked >= 1 && *asked <= most) return int64_t{*asked};
  return userError(std::string(option) + " " + std::to_string(*asked) +
                   ": a step of this plan takes 1 to " + std::to_string(most));
}

// Each by itself where one layer is asked for.
std::vector<FoldedCollectives> rowsOf(std::vector<CollectiveReport> reports,
                                      std::optional<uint32_t> layer) {
  if (!layer) return fold(std::move(reports));
  std::vector<FoldedCollectives> found;
  for (CollectiveReport& report : reports) {
    const std::optional<LayerPath> path = layerOf(report.module);
    if (path && path->layer == *layer) found.push_back({std::move(report), {*layer}});
  }
  return found;
}

Result<EntryExplanation> explainEntry(const std::vector<plan::Plan>& plans, uint32_t index,
                                      const ExplainOptions& options) {
  const fb::Plan& first = *plans.front();
  const fb::Entry& entry = *first.entries()->Get(index);
  EntryExplanation out;
  out.name = text(entry.name());
  out.instructions = rows(entry.instructions()).size();
  out.arena = entry.arena_bytes();
  DCC_ASSIGN(const int64_t tokens, stepSize("--tokens", options.tokens, first.max_tokens()));
  DCC_ASSIGN(const int64_t seqs, stepSize("--seqs", options.seqs, first.max_seqs()));
  out.seqs = std::min<int64_t>(seqs, entry.bounds()->Get(plan::kB));
  // A step that continues sequences has one token of each.
  const bool continues = out.name == "decode";
  out.tokens = continues ? out.seqs : std::min<int64_t>(tokens, entry.bounds()->Get(plan::kT));
  out.seqs = std::min(out.seqs, out.tokens);
  for (const plan::Plan& plan : plans) {
    const std::vector<int64_t> sizes = footprint::sizesAt(*plan, out.tokens, out.seqs);
    std::vector<CollectiveReport> reports =
        reportCollectives(*plan, *plan->entries()->Get(index), sizes, options.transport);
    footprint::Moved sum;
    for (const CollectiveReport& report : reports) {
      sum.payload += report.moved.payload;
      sum.traffic += report.moved.traffic;
      sum.at_most |= report.moved.at_most;
    }
    out.ranks.push_back(sum);
    if (out.ranks.size() > 1) continue;
    out.collectives = static_cast<uint32_t>(reports.size());
    out.rows = rowsOf(std::move(reports), options.layer);
  }
  return out;
}

// Whether any module of the plan is in that layer.
bool hasLayer(const fb::Plan& plan, uint32_t layer) {
  for (const fb::Entry* entry : rows(plan.entries())) {
    for (const fb::Instruction* instruction : rows(entry->instructions())) {
      const std::optional<LayerPath> path = layerOf(text(instruction->module_()));
      if (path && path->layer == layer) return true;
    }
  }
  return false;
}

}  // namespace

Result<std::string> explain(const ExplainOptions& options) {
  DCC_RETURN_IF_ERROR(plan::verifyDirectory(options.directory));
  Explanation out;
  DCC_ASSIGN(out.manifest, plan::readManifest(options.directory));
  const auto ranks = static_cast<uint32_t>(out.manifest.ranks.size());
  std::vector<plan::Plan> plans;
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    DCC_ASSIGN(plan::Plan plan, plan::loadRank(options.directory, out.manifest, rank));
    plans.push_back(std::move(plan));
  }
  const fb::Plan& first = *plans.front();
  out.invariant = first.numerics() == fb::Numerics::invariant;
  if (options.layer && !hasLayer(first, *options.layer)) {
    return userError("--layer " + std::to_string(*options.layer) + ": " + out.manifest.model +
                     " has no such layer");
  }
  out.max_tokens = first.max_tokens();
  out.max_seqs = first.max_seqs();
  out.max_seq_len = first.max_seq_len();
  for (const fb::File* file : rows(first.files())) {
    if (file->random() && !out.seed) out.seed = file->random()->seed();
  }
  out.running.transport = options.transport;
  out.running.threads =
      options.threads.value_or(launch::threadsPerRank(launch::usableCores(), ranks));
  for (const plan::Plan& plan : plans) {
    out.memory.push_back(footprint::memoryOf(plan, out.running));
  }
  for (uint32_t i = 0; i < rows(first.entries()).size(); ++i) {
    DCC_ASSIGN(EntryExplanation entry, explainEntry(plans, i, options));
    out.entries.push_back(std::move(entry));
  }
  return options.json ? asJson(out) : asText(out);
}

}  // namespace dcc
