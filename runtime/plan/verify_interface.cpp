#include "runtime/base/printable.h"
#include "runtime/plan/mesh.h"
#include "runtime/plan/size_proof.h"
#include "runtime/plan/verify_ranks.h"

namespace dcc::plan {
namespace {

std::string shown(std::string_view name) { return printable(name); }
std::string shown(uint64_t number) { return std::to_string(number); }
std::string shown(int64_t number) { return std::to_string(number); }
std::string shown(uint32_t number) { return std::to_string(number); }
std::string shown(int32_t number) { return std::to_string(number); }

// One rank beside rank 0; keeps the first difference.
class Beside {
 public:
  Beside(const RankProgram& rank, const RankProgram& first)
      : rank_(rank), plan_(rank.plan), first_(first.plan), first_sizes_(&first.sizes) {}

  Status mesh() {
    same("its mesh's number of axes", rows(plan_.mesh()).size(), rows(first_.mesh()).size());
    for (uint32_t i = 0; ok() && i < rows(plan_.mesh()).size(); ++i) {
      const fb::Axis &own = *plan_.mesh()->Get(i), &theirs = *first_.mesh()->Get(i);
      std::string what = "mesh axis " + std::to_string(i);
      same(what, text(own.name()), text(theirs.name()));
      same("the size of " + what, own.size(), theirs.size());
    }
    return status();
  }

  Status limits() {
    same("max_tokens", plan_.max_tokens(), first_.max_tokens());
    same("max_seqs", plan_.max_seqs(), first_.max_seqs());
    same("max_seq_len", plan_.max_seq_len(), first_.max_seq_len());
    same("vocab_size", plan_.vocab_size(), first_.vocab_size());
    return status();
  }

  // Heads may be cut unevenly, so that pages differ in bytes.
  Status pages() {
    same("the number of page groups", rows(plan_.page_groups()).size(),
         rows(first_.page_groups()).size());
    for (uint32_t i = 0; ok() && i < rows(plan_.page_groups()).size(); ++i) {
      const fb::PageGroup &own = *plan_.page_groups()->Get(i),
                          &theirs = *first_.page_groups()->Get(i);
      std::string of = " of page group " + std::to_string(i);
      same("tokens_per_page" + of, own.tokens_per_page(), theirs.tokens_per_page());
      same("the number of pages" + of, own.pages(), theirs.pages());
      same("the window" + of, own.window(), theirs.window());
      same("the number of caches" + of, caches(plan_, i), caches(first_, i));
    }
    return status();
  }

  Status entries() {
    same("the number of entries", rows(plan_.entries()).size(), rows(first_.entries()).size());
    for (uint32_t i = 0; ok() && i < rows(plan_.entries()).size(); ++i) {
      const fb::Entry &own = *plan_.entries()->Get(i), &theirs = *first_.entries()->Get(i);
      same("entry " + std::to_string(i), text(own.name()), text(theirs.name()));
      where_ = "entry " + printable(text(own.name())) + ": ";
      for (uint32_t v = 0; v < rows(own.bounds()).size(); ++v) {
        same("the bound of " + printable(text(plan_.variables()->Get(v))), own.bounds()->Get(v),
             theirs.bounds()->Get(v));
      }
      if (ok()) outputs(own, theirs);
      where_.clear();
    }
    return status();
  }

 private:
  void outputs(const fb::Entry& entry, const fb::Entry& other) {
    std::vector<int64_t> bounds(rows(entry.bounds()).begin(), rows(entry.bounds()).end());
    SizeProof proof(bounds);
    same("the number of outputs", rows(entry.outputs()).size(), rows(other.outputs()).size());
    for (uint32_t i = 0; ok() && i < rows(entry.outputs()).size(); ++i) {
      const fb::Output &own = *entry.outputs()->Get(i), &theirs = *other.outputs()->Get(i);
      same("output " + std::to_string(i), text(own.name()), text(theirs.name()));
      std::string of = " of output " + printable(text(own.name()));
      same("the axis" + of, own.axis(), theirs.axis());
      same("the columns" + of, own.columns(), theirs.columns());
      same("the number of parts" + of, rows(own.begins()).size(), rows(theirs.begins()).size());
      for (uint32_t part = 0; ok() && part < rows(own.begins()).size(); ++part) {
        std::string whose = " of coordinate " + std::to_string(part) + of;
        same("the first column" + whose, own.begins()->Get(part), theirs.begins()->Get(part));
        same("the end of the columns" + whose, own.ends()->Get(part), theirs.ends()->Get(part));
      }
      uint32_t own_rows = entry.buffers()->Get(own.buffer())->rows();
      uint32_t their_rows = other.buffers()->Get(theirs.buffer())->rows();
      if (ok() && !proof.equal({&rank_.sizes, own_rows}, {first_sizes_, their_rows})) {
        differ("the number of rows" + of, rank_.sizes.text(own_rows),
               first_sizes_->text(their_rows));
      }
    }
  }

  static uint32_t caches(const fb::Plan& plan, uint32_t group) {
    uint32_t n = 0;
    for (const fb::Cache* cache : rows(plan.caches())) n += cache->group() == group;
    return n;
  }

  template <class T>
  void same(const std::string& what, T own, T theirs) {
    if (ok() && own != theirs) differ(what, shown(own), shown(theirs));
  }
  void differ(const std::string& what, const std::string& own, const std::string& theirs) {
    problem_ = where_ + what + " is " + own + ", rank 0 has " + theirs;
  }
  bool ok() const { return problem_.empty(); }
  Status status() const {
    if (ok()) return Status::success();
    return userError(rank_.name + ": " + problem_ +
                     "; all ranks must agree, so compile the model again");
  }

  const RankProgram& rank_;
  const fb::Plan& plan_;
  const fb::Plan& first_;
  const SizeAnalysis* first_sizes_;
  std::string where_, problem_;
};

}  // namespace

Status verifyInterface(std::span<const RankProgram> ranks) {
  for (uint32_t r = 0; r < ranks.size(); ++r) {
    const RankProgram& rank = ranks[r];
    if (worldSize(rank.plan) != ranks.size() || rank.plan.rank() != r) {
      return userError(rank.name + ": is rank " + std::to_string(rank.plan.rank()) + " of " +
                       std::to_string(worldSize(rank.plan).value_or(0)) + "; there are " +
                       std::to_string(ranks.size()) + " plans");
    }
    Beside beside(rank, ranks[0]);
    DCC_RETURN_IF_ERROR(beside.mesh());
    DCC_RETURN_IF_ERROR(beside.limits());
    DCC_RETURN_IF_ERROR(beside.pages());
    DCC_RETURN_IF_ERROR(beside.entries());
  }
  return Status::success();
}

}  // namespace dcc::plan
