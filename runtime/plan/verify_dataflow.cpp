#include <algorithm>
#include <map>
#include <set>

#include "runtime/base/printable.h"
#include "runtime/plan/dataflow.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/verify_internal.h"

namespace dcc::plan {
namespace {

// A set of columns as disjoint ranges that don't touch: begin -> end.
class Columns {
 public:
  void add(uint64_t begin, uint64_t end) {
    auto it = ranges_.upper_bound(begin);
    if (it != ranges_.begin() && std::prev(it)->second >= begin) --it;
    while (it != ranges_.end() && it->first <= end) {
      begin = std::min(begin, it->first);
      end = std::max(end, it->second);
      it = ranges_.erase(it);
    }
    ranges_[begin] = end;
  }
  bool contains(uint64_t begin, uint64_t end) const {
    auto it = ranges_.upper_bound(begin);
    return it != ranges_.begin() && std::prev(it)->second >= end;
  }

 private:
  std::map<uint64_t, uint64_t> ranges_;
};

bool overlap(const Region& a, const Region& b) {
  return a.root == b.root && a.begin < b.end && b.begin < a.end;
}
bool same(const Region& a, const Region& b) {
  return a.root == b.root && a.begin == b.begin && a.end == b.end;
}

// Instructions during which a buffer that owns memory holds a value, inclusive.
struct Lifetime {
  bool used = false;
  uint32_t birth = 0, death = 0;
  void extend(uint32_t instruction) {
    if (!used) birth = instruction;
    used = true;
    death = instruction;
  }
};

class Dataflow {
 public:
  explicit Dataflow(const EntryContext& context)
      : context_(context), written_(context.bufferCount()), lifetimes_(context.bufferCount()) {}

  Status run() {
    Rows instructions = rows(context_.entry.instructions());
    for (uint32_t i = 0; i < instructions.size(); ++i) {
      Accesses accesses = accessesOf(*instructions[i]);
      DCC_RETURN_IF_ERROR(read(i, accesses));
      DCC_RETURN_IF_ERROR(caches(i, *instructions[i]));
      DCC_RETURN_IF_ERROR(write(i, accesses));
    }
    for (const fb::Output* output : rows(context_.entry.outputs())) {
      Region region = regionOf(context_, output->buffer());
      if (!written_[region.root].contains(region.begin, region.end)) {
        return context_.error("output " + printable(text(output->name())) + " is never written");
      }
      lifetimes_[region.root].extend(instructions.size());
    }
    return apart(instructions.size());
  }

 private:
  bool isInput(uint32_t buffer) const {
    return context_.buffer(buffer).storage() != fb::Storage::arena;
  }

  Status read(uint32_t i, const Accesses& accesses) {
    for (uint32_t buffer : accesses.reads) {
      if (isInput(buffer)) continue;
      Region region = regionOf(context_, buffer);
      if (!written_[region.root].contains(region.begin, region.end)) {
        return context_.error(
            i, "reads buffer " + std::to_string(buffer) + " before all of it was written");
      }
      lifetimes_[region.root].extend(i);
    }
    return Status::success();
  }

  Status write(uint32_t i, const Accesses& accesses) {
    for (size_t w = 0; w < accesses.writes.size(); ++w) {
      uint32_t buffer = accesses.writes[w].buffer;
      if (isInput(buffer)) {
        return context_.error(i, "writes buffer " + std::to_string(buffer) + ", a step input");
      }
      Region region = regionOf(context_, buffer);
      for (size_t r = 0; r < accesses.reads.size(); ++r) {
        Region source = regionOf(context_, accesses.reads[r]);
        bool allowed = (accesses.writes[w].in_place_of >> r & 1) && same(source, region);
        if (overlap(source, region) && !allowed) {
          return context_.error(
              i, "writes buffer " + std::to_string(buffer) + " over its input buffer " +
                     std::to_string(accesses.reads[r]) + "; this operation cannot work in place");
        }
      }
      for (size_t other = 0; other < w; ++other) {
        if (overlap(regionOf(context_, accesses.writes[other].buffer), region)) {
          return context_.error(i, "two outputs share buffer " + std::to_string(region.root));
        }
      }
    }
    for (const Write& w : accesses.writes) {
      Region region = regionOf(context_, w.buffer);
      written_[region.root].add(region.begin, region.end);
      lifetimes_[region.root].extend(i);
    }
    return Status::success();
  }

  // Attention sees the step's own tokens, so their keys and values must be in the cache.
  Status caches(uint32_t i, const fb::Instruction& instruction) {
    const fb::Kernel* kernel = instruction.body_as_Kernel();
    if (!kernel) return Status::success();
    const KernelInfo& info = *kernelInfo(kernel->kind());
    for (uint32_t o = 0; o < kernel->operands()->size(); ++o) {
      if (info.operands[o].role != Role::kCache) continue;
      uint32_t cache = kernel->operands()->Get(o)->index();
      std::string name = printable(text(context_.plan.caches()->Get(cache)->module_()));
      if (kernel->kind() == fb::KernelKind::kv_write) {
        if (!filled_caches_.insert(cache).second) {
          return context_.error(i, "writes the cache " + name + " a second time");
        }
      } else if (!filled_caches_.contains(cache)) {
        return context_.error(i, "reads the cache " + name + " before the step's tokens are in it");
      }
    }
    return Status::success();
  }

  // Buffers that live at the same time must not overlap in the arena.
  Status apart(uint32_t end) const {
    std::vector<std::vector<uint32_t>> births(end + 1), deaths(end + 1);
    for (uint32_t b = 0; b < lifetimes_.size(); ++b) {
      if (!lifetimes_[b].used || extentBytes(context_, b) == 0) continue;
      births[lifetimes_[b].birth].push_back(b);
      deaths[lifetimes_[b].death].push_back(b);
    }
    std::map<uint64_t, uint32_t> alive;  // offset -> buffer; disjoint
    for (uint32_t i = 0; i <= end; ++i) {
      for (uint32_t b : births[i]) {
        uint64_t begin = context_.buffer(b).offset();
        auto next = alive.lower_bound(begin);
        if (next != alive.end() && next->first < begin + extentBytes(context_, b)) {
          return collision(i, b, next->second);
        }
        if (next != alive.begin() && endOf(std::prev(next)->second) > begin) {
          return collision(i, b, std::prev(next)->second);
        }
        alive[begin] = b;
      }
      for (uint32_t b : deaths[i]) alive.erase(context_.buffer(b).offset());
    }
    return Status::success();
  }

  uint64_t endOf(uint32_t b) const {
    return context_.buffer(b).offset() + extentBytes(context_, b);
  }

  Error collision(uint32_t i, uint32_t born, uint32_t alive) const {
    return context_.error(i, "writes buffer " + std::to_string(born) +
                                 ", which shares memory with buffer " + std::to_string(alive) +
                                 " while that is still needed");
  }

  const EntryContext& context_;
  // By the buffer that owns the memory.
  std::vector<Columns> written_;
  std::vector<Lifetime> lifetimes_;
  std::set<uint32_t> filled_caches_;
};

}  // namespace

Status verifyDataflow(const EntryContext& context) { return Dataflow(context).run(); }

}  // namespace dcc::plan
