#include <cstdarg>
#include <cstdio>

#include "compiler/explanation.h"

namespace dcc {
namespace {

std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));
std::string format(const char* pattern, ...) {
  char line[512];
  va_list args;
  va_start(args, pattern);
  std::vsnprintf(line, sizeof line, pattern, args);
  va_end(args);
  return line;
}

std::string plural(uint64_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

// Ranks that need the same, next to each other.
struct Ranks {
  size_t first, last;
  std::string name() const {
    return first == last ? "rank " + std::to_string(first)
                         : "ranks " + std::to_string(first) + "-" + std::to_string(last);
  }
};

bool equal(const footprint::Memory& a, const footprint::Memory& b) {
  for (const footprint::MemoryKind& kind : footprint::kMemoryKinds) {
    if (bytesText(a.*kind.bytes) != bytesText(b.*kind.bytes)) return false;
  }
  return true;
}

std::string memoryText(const Explanation& e) {
  std::vector<Ranks> columns;
  for (size_t rank = 0; rank < e.memory.size(); ++rank) {
    if (rank > 0 && equal(e.memory[rank], e.memory[rank - 1])) {
      columns.back().last = rank;
    } else {
      columns.push_back({rank, rank});
    }
  }
  const bool tcp = e.running.transport == TransportKind::kTcp;
  std::string out = "memory of a rank, with " + plural(e.running.threads, "thread") +
                    (e.memory.size() == 1 ? ""
                     : tcp                ? ", over TCP"
                                          : ", over shared memory") +
                    "\n" + format("  %-13s", "");
  for (const Ranks& ranks : columns) out += format(" %14s", ranks.name().c_str());
  out += "\n";
  const auto row = [&](std::string_view name, auto&& bytes) {
    out += format("  %-13s", std::string(name).c_str());
    for (const Ranks& ranks : columns) {
      out += format(" %14s", bytesText(bytes(e.memory[ranks.first])).c_str());
    }
    out += "\n";
  };
  for (const footprint::MemoryKind& kind : footprint::kMemoryKinds) {
    row(kind.name, [&](const footprint::Memory& memory) { return memory.*kind.bytes; });
  }
  row("together", [](const footprint::Memory& memory) { return memory.total(); });
  return out + "beside that the process itself, some 7 MiB, and on rank 0 the tokenizer\n";
}

std::string movedText(const footprint::Moved& moved, int64_t tokens) {
  const std::string most = moved.at_most ? "at most " : "";
  return bytesText(moved.payload) + " a step, " +
         bytesText(moved.payload / static_cast<uint64_t>(tokens)) + " a token; sends " + most +
         bytesText(moved.traffic.sent) + ", receives " + most + bytesText(moved.traffic.received);
}

std::string consumers(const CollectiveReport& report) {
  if (report.needed_by.empty()) return "the entry's result";
  std::string out;
  for (const CollectiveReport::Consumer& consumer : report.needed_by) {
    out += (out.empty() ? "" : ", ") + seenFrom(consumer.module, report.module) + " (" +
           consumer.op + ")";
  }
  return out;
}

std::string rowText(const FoldedCollectives& row, int64_t tokens) {
  const CollectiveReport& report = row.first;
  const std::string each = row.count() > 1 ? "each " : "";
  return format("  %u x %s over %s of %s\n", row.count(), report.op.c_str(), report.axis.c_str(),
                row.modules().c_str()) +
         "      because  " + report.because + "\n      for      " + consumers(report) +
         "\n      kept     " + report.kept + "\n      moves    " + each +
         movedText(report.moved, tokens) + "\n";
}

std::string entryText(const EntryExplanation& entry) {
  std::string out = "entry " + entry.name + ", a step of " +
                    plural(static_cast<uint64_t>(entry.tokens), "token") + " of " +
                    plural(static_cast<uint64_t>(entry.seqs), "sequence") + ": " +
                    plural(entry.instructions, "instruction") + ", " +
                    plural(entry.collectives, "collective") + ", arena " + bytesText(entry.arena) +
                    "\n";
  if (entry.collectives > 0) {
    out += "  all: rank 0 moves " + movedText(entry.ranks.front(), entry.tokens) + "\n";
  }
  for (const FoldedCollectives& row : entry.rows) out += rowText(row, entry.tokens);
  return out;
}

}  // namespace

std::string bytesText(uint64_t bytes) {
  if (bytes < 10'000) return format("%llu B", static_cast<unsigned long long>(bytes));
  if (bytes < 10'000'000) return format("%.1f KiB", double(bytes) / 1024);
  if (bytes < 10'000'000'000) return format("%.1f MiB", double(bytes) / (1 << 20));
  return format("%.2f GiB", double(bytes) / (1 << 30));
}

std::string asText(const Explanation& e) {
  std::string out = e.manifest.model + " over " + plural(e.manifest.ranks.size(), "rank") + ":";
  for (const plan::MeshAxis& axis : e.manifest.mesh) {
    out += " " + axis.name + " = " + std::to_string(axis.size);
  }
  out += "\ncompilation " + e.manifest.compilation_id.hex() + "\n";
  if (e.invariant) out += "numerics invariant: the same bits at 1, 2, 4 and 8 ranks\n";
  if (e.seed) out += "dummy weights: random by seed " + std::to_string(*e.seed) + "\n";
  out += format("for up to %u sequences of %llu tokens, %u tokens a step\n\n", e.max_seqs,
                static_cast<unsigned long long>(e.max_seq_len), e.max_tokens);
  out += memoryText(e);
  for (const EntryExplanation& entry : e.entries) out += "\n" + entryText(entry);
  return out;
}

}  // namespace dcc
