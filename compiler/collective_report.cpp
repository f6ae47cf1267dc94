#include "compiler/collective_report.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "runtime/plan/access.h"
#include "runtime/plan/dataflow.h"
#include "runtime/plan/describe.h"

namespace dcc {
namespace {

namespace fb = plan::fb;
using plan::rows;
using plan::text;

using Consumer = CollectiveReport::Consumer;

// ---- dataflow -----------------------------------------------------------------------------------

bool reads(const plan::Accesses& accesses, const fb::Entry& entry, uint32_t root) {
  return std::any_of(accesses.reads.begin(), accesses.reads.end(),
                     [&](uint32_t buffer) { return plan::rootOf(entry, buffer) == root; });
}

// Whether all of what the root holds is replaced.
bool replaces(const plan::Accesses& accesses, uint32_t root) {
  return std::any_of(accesses.writes.begin(), accesses.writes.end(),
                     [&](const plan::Write& write) { return write.buffer == root; });
}

// The instructions that read what instruction `at` leaves in `root`.
std::vector<uint32_t> consumersOf(const fb::Entry& entry, uint32_t at, uint32_t root) {
  std::vector<uint32_t> consumers;
  const auto instructions = rows(entry.instructions());
  for (uint32_t i = at + 1; i < instructions.size(); ++i) {
    const plan::Accesses accesses = plan::accessesOf(*instructions[i]);
    if (reads(accesses, entry, root)) consumers.push_back(i);
    if (replaces(accesses, root)) break;
  }
  return consumers;
}

// Whether what instruction `at` leaves in `root` takes part in what `later` reads.
bool dependsOn(const fb::Entry& entry, uint32_t later, uint32_t at, uint32_t root) {
  std::set<uint32_t> touched = {root};
  bool caches = false;  // it went into the KV cache, which later instructions read
  const auto instructions = rows(entry.instructions());
  for (uint32_t i = at + 1; i <= later; ++i) {
    const plan::Accesses accesses = plan::accessesOf(*instructions[i]);
    const fb::Kernel* kernel = instructions[i]->body_as_Kernel();
    bool reached = caches && kernel && kernel->kind() == fb::KernelKind::attention;
    for (uint32_t buffer : accesses.reads)
      reached |= touched.count(plan::rootOf(entry, buffer)) > 0;
    if (i == later) return reached;
    caches |= reached && kernel && kernel->kind() == fb::KernelKind::kv_write;
    for (const plan::Write& write : accesses.writes) {
      if (reached) {
        touched.insert(plan::rootOf(entry, write.buffer));
      } else {
        touched.erase(write.buffer);
      }
    }
  }
  return false;
}

// ---- words --------------------------------------------------------------------------------------

// What an instruction is, as the one who needs something.
std::string_view subjectOf(const fb::Instruction& instruction) {
  if (instruction.body_as_Gemm()) return "the product with a weight";
  if (instruction.body_as_Collective()) return "the next exchange";
  switch (instruction.body_as_Kernel()->kind()) {
    case fb::KernelKind::add:
      return "the addition";
    case fb::KernelKind::add_rms_norm:
      return "the norm after the residual addition";
    case fb::KernelKind::rms_norm:
      return "the norm";
    case fb::KernelKind::add_bias:
      return "the bias, added once,";
    case fb::KernelKind::attention:
      return "attention";
    case fb::KernelKind::kv_write:
      return "the KV cache";
    case fb::KernelKind::experts:
      return "the experts";
    case fb::KernelKind::last_token:
      return "the choice of last tokens";
    default:
      return "what follows";
  }
}

std::string keptBecause(const fb::Entry& entry, const fb::Collective& collective,
                        const std::vector<uint32_t>& consumers) {
  const std::string who =
      consumers.empty() ? "the entry's result"
                        : std::string(subjectOf(*entry.instructions()->Get(consumers.front())));
  const std::string cut = collective.dimension() == 0 ? "tokens" : "columns";
  if (collective.gates() >= 0 && collective.kind() == fb::CollectiveKind::all_gather) {
    return who + " need of the tokens, by which the value is cut, those that are for them";
  }
  if (collective.gates() >= 0) {
    return who + " needs the sum of what a token's experts gave; only of its own tokens";
  }
  switch (collective.kind()) {
    case fb::CollectiveKind::all_reduce:
      return who + " needs the whole sum, of which each rank has a part";
    case fb::CollectiveKind::all_gather:
      return who + " needs all " + cut + ", by which the value is cut";
    case fb::CollectiveKind::reduce_scatter:
      return who + " needs a sum, of which each rank has a part; only its own " + cut + " of it";
    default:
      return who + " needs what another rank has";
  }
}

// A product with stacked weights is that of all their modules.
std::string moduleOf(const fb::Plan& plan, const fb::Instruction& instruction) {
  const fb::Gemm* gemm = instruction.body_as_Gemm();
  if (gemm) {
    const std::string_view weight = text(plan.weights()->Get(gemm->weight())->module_());
    if (weight.find('+') != std::string_view::npos) {
      return std::string(weight.substr(0, weight.rfind('.')));
    }
  }
  return std::string(text(instruction.module_()));
}

// What keeps it apart from the collective that comes next, where the two could be one.
std::string apartFrom(const fb::Entry& entry, uint32_t at, const std::string& module) {
  const auto instructions = rows(entry.instructions());
  const fb::Collective& collective = *instructions[at]->body_as_Collective();
  for (uint32_t i = at + 1; i < instructions.size(); ++i) {
    const fb::Collective* next = instructions[i]->body_as_Collective();
    if (!next) continue;
    if (next->kind() != collective.kind() || next->axis() != collective.axis()) return "";
    const std::string name = seenFrom(std::string(text(instructions[i]->module_())), module);
    const uint32_t root = plan::rootOf(entry, collective.output());
    return dependsOn(entry, i, at, root) ? "; the next one, of " + name + ", depends on it"
                                         : "; the next one, of " + name + ", does not depend on it";
  }
  return "";
}

}  // namespace

std::optional<LayerPath> layerOf(std::string_view module) {
  for (size_t begin = 0; begin < module.size();) {
    const size_t end = std::min(module.find('.', begin), module.size());
    const std::string_view part = module.substr(begin, end - begin);
    LayerPath path;
    const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), path.layer);
    if (error == std::errc() && stop == part.data() + part.size()) {
      path.of = module.substr(0, begin == 0 ? 0 : begin - 1);
      path.inside = end < module.size() ? module.substr(end + 1) : "";
      return path;
    }
    begin = end + 1;
  }
  return std::nullopt;
}

std::string seenFrom(const std::string& module, const std::string& other) {
  const std::optional<LayerPath> it = layerOf(module), from = layerOf(other);
  if (!it || !from || it->of != from->of) return module;
  if (it->layer == from->layer) return it->inside;
  if (it->layer == from->layer + 1) return it->inside + " of the next layer";
  return module;
}

std::vector<CollectiveReport> reportCollectives(const fb::Plan& plan, const fb::Entry& entry,
                                                std::span<const int64_t> sizes,
                                                TransportKind transport) {
  std::vector<CollectiveReport> reports;
  const auto instructions = rows(entry.instructions());
  for (uint32_t i = 0; i < instructions.size(); ++i) {
    const fb::Collective* collective = instructions[i]->body_as_Collective();
    if (!collective) continue;
    CollectiveReport report;
    report.instruction = i;
    report.module = text(instructions[i]->module_());
    report.op = plan::opName(*instructions[i]);
    report.axis = text(plan.mesh()->Get(collective->axis())->name());
    report.because = text(instructions[i]->because());
    const std::vector<uint32_t> consumers =
        consumersOf(entry, i, plan::rootOf(entry, collective->output()));
    for (uint32_t c : consumers) {
      Consumer consumer{moduleOf(plan, *instructions[c]),
                        std::string(plan::opName(*instructions[c]))};
      const auto& known = report.needed_by;
      if (std::find(known.begin(), known.end(), consumer) == known.end()) {
        report.needed_by.push_back(std::move(consumer));
      }
    }
    report.kept = keptBecause(entry, *collective, consumers) + apartFrom(entry, i, report.module);
    report.moved = footprint::movedBy(plan, entry, *collective, sizes, transport);
    reports.push_back(std::move(report));
  }
  return reports;
}

// ---- folding ------------------------------------------------------------------------------------

namespace {

// Equal but for the number of the layer.
bool alike(const CollectiveReport& a, const CollectiveReport& b) {
  const std::optional<LayerPath> x = layerOf(a.module), y = layerOf(b.module);
  if (!x || !y || x->of != y->of || x->inside != y->inside) return false;
  if (a.op != b.op || a.axis != b.axis || a.because != b.because || a.kept != b.kept ||
      a.moved.payload != b.moved.payload || !(a.moved.traffic == b.moved.traffic)) {
    return false;
  }
  return std::equal(a.needed_by.begin(), a.needed_by.end(), b.needed_by.begin(), b.needed_by.end(),
                    [&](const Consumer& c, const Consumer& d) {
                      return c.op == d.op &&
                             seenFrom(c.module, a.module) == seenFrom(d.module, b.module);
                    });
}

}  // namespace

std::vector<FoldedCollectives> fold(std::vector<CollectiveReport> reports) {
  std::vector<FoldedCollectives> folded;
  for (CollectiveReport& report : reports) {
    const std::optional<LayerPath> path = layerOf(report.module);
    auto same = std::find_if(folded.begin(), folded.end(), [&](const FoldedCollectives& other) {
      return alike(other.first, report);
    });
    if (same == folded.end()) same = folded.insert(folded.end(), {std::move(report), {}});
    if (path) same->layers.push_back(path->layer);
  }
  return folded;
}

std::string FoldedCollectives::modules() const {
  if (layers.size() < 2) return first.module;
  std::string numbers;
  for (size_t i = 0; i < layers.size();) {
    size_t last = i;
    while (last + 1 < layers.size() && layers[last + 1] == layers[last] + 1) ++last;
    numbers += (numbers.empty() ? "" : ",") + std::to_string(layers[i]);
    if (last > i) numbers += "-" + std::to_string(layers[last]);
    i = last + 1;
  }
  const LayerPath path = *layerOf(first.module);
  return path.of + (path.of.empty() ? "" : ".") + numbers +
         (path.inside.empty() ? "" : "." + path.inside);
}

}  // namespace dcc
