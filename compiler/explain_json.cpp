#include <nlohmann/json.hpp>

#include "compiler/explanation.h"

namespace dcc {
namespace {

using Json = nlohmann::ordered_json;

Json memoryJson(const footprint::Memory& memory) {
  Json out;
  for (const footprint::MemoryKind& kind : footprint::kMemoryKinds) {
    out[std::string(kind.key)] = memory.*kind.bytes;
  }
  out["together"] = memory.total();
  return out;
}

// Bytes of a step.
Json movedJson(const footprint::Moved& moved) {
  return {{"payload", moved.payload},
          {"sent", moved.traffic.sent},
          {"received", moved.traffic.received},
          {"at_most", moved.at_most}};
}

Json rowJson(const FoldedCollectives& row) {
  const CollectiveReport& report = row.first;
  Json needed = Json::array();
  for (const CollectiveReport::Consumer& consumer : report.needed_by) {
    needed.push_back({{"module", consumer.module}, {"op", consumer.op}});
  }
  return {{"count", row.count()},      {"op", report.op},
          {"axis", report.axis},       {"modules", row.modules()},
          {"module", report.module},   {"layers", row.layers},
          {"because", report.because}, {"needed_by", std::move(needed)},
          {"kept", report.kept},       {"each", movedJson(report.moved)}};
}

Json entryJson(const EntryExplanation& entry) {
  Json rows = Json::array(), ranks = Json::array();
  for (const FoldedCollectives& row : entry.rows) rows.push_back(rowJson(row));
  for (const footprint::Moved& moved : entry.ranks) ranks.push_back(movedJson(moved));
  return {{"name", entry.name},        {"tokens", entry.tokens},
          {"seqs", entry.seqs},        {"instructions", entry.instructions},
          {"arena", entry.arena},      {"collectives", entry.collectives},
          {"ranks", std::move(ranks)}, {"rows", std::move(rows)}};
}

}  // namespace

std::string asJson(const Explanation& e) {
  Json mesh, memory = Json::array(), entries = Json::array();
  for (const plan::MeshAxis& axis : e.manifest.mesh) mesh[axis.name] = axis.size;
  for (const footprint::Memory& rank : e.memory) memory.push_back(memoryJson(rank));
  for (const EntryExplanation& entry : e.entries) entries.push_back(entryJson(entry));
  const bool tcp = e.running.transport == TransportKind::kTcp;
  const Json out = {{"model", e.manifest.model},
                    {"compilation_id", e.manifest.compilation_id.hex()},
                    {"mesh", std::move(mesh)},
                    {"max_seqs", e.max_seqs},
                    {"max_seq_len", e.max_seq_len},
                    {"max_tokens", e.max_tokens},
                    {"threads", e.running.threads},
                    {"collectives", tcp ? "tcp" : "shm"},
                    {"numerics", e.invariant ? "invariant" : "fast"},
                    {"memory", std::move(memory)},
                    {"entries", std::move(entries)}};
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace dcc
