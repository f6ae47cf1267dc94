#include "tests/models/mutations/mutate.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace dcc::mutations {
namespace {

namespace fb = plan::fb;
using fb::CollectiveKind;

// Below n; the same on every machine, which std::uniform_int_distribution is not.
uint32_t below(uint64_t n, Random& random) { return static_cast<uint32_t>(random() % n); }

class Mutation {
 public:
  Mutation(fb::PlanT& plan, Random& random)
      : plan_(plan), entry_(*plan.entries[below(plan.entries.size(), random)]), random_(random) {
    for (uint32_t i = 0; i < entry_.instructions.size(); ++i) {
      if (entry_.instructions[i]->body.AsCollective()) collectives_.push_back(i);
    }
  }

  void apply(Kind kind) {
    if (collectives_.empty()) return;
    at_ = collectives_[draw(collectives_.size())];
    switch (kind) {
      case Kind::kDrop:
        instructions().erase(instructions().begin() + at_);
        break;
      case Kind::kSwap:
        swapWithAnother();
        break;
      case Kind::kDuplicate:
        duplicate();
        break;
      case Kind::kResize:
        resize();
        break;
      case Kind::kRetype:
        buffer().dtype = static_cast<fb::DType>(draw(static_cast<int>(fb::DType::MAX) + 1));
        break;
      case Kind::kRegroup:
        regroup();
        break;
    }
  }

 private:
  uint32_t draw(uint64_t n) { return below(n, random_); }
  std::vector<std::unique_ptr<fb::InstructionT>>& instructions() { return entry_.instructions; }
  fb::CollectiveT& collective() { return *instructions()[at_]->body.AsCollective(); }
  fb::BufferT& buffer() {
    return *entry_.buffers[draw(2) == 0 ? collective().input : collective().output];
  }
  uint32_t constant(int64_t value) {
    plan_.sizes.push_back({fb::SizeOp::constant, 0, 0, value});
    return static_cast<uint32_t>(plan_.sizes.size()) - 1;
  }

  // Their places, or only what they do at them.
  void swapWithAnother() {
    fb::InstructionT& own = *instructions()[at_];
    const uint32_t other = collectives_[draw(collectives_.size())];
    if (draw(2) == 0) {
      std::swap(instructions()[at_], instructions()[other]);
    } else {
      std::swap(own.body, instructions()[other]->body);
    }
  }

  void duplicate() {
    auto copy = std::make_unique<fb::InstructionT>(*instructions()[at_]);
    // Mostly right behind, where it does least harm to the rank itself.
    const uint32_t place = draw(4) == 0 ? draw(instructions().size() + 1) : at_ + 1;
    instructions().insert(instructions().begin() + place, std::move(copy));
  }

  void resize() {
    fb::CollectiveT& c = collective();
    switch (draw(5)) {
      case 0:  // of another buffer
        c.input = draw(entry_.buffers.size());
        if (c.kind == CollectiveKind::all_reduce) c.output = c.input;
        break;
      case 1: {  // more or fewer columns
        fb::BufferT& b = buffer();
        b.cols = draw(2) == 0 ? b.cols + 1 : std::max<uint64_t>(b.cols / 2, 1);
        if (draw(2) == 0) b.row_stride = b.cols;
        break;
      }
      case 2:  // other rows
        buffer().rows = draw(2) == 0 ? draw(plan_.sizes.size()) : constant(1 + draw(8));
        break;
      case 3:  // another count
        if (!c.counts.empty()) {
          c.counts[draw(c.counts.size())] =
              draw(2) == 0 ? draw(plan_.sizes.size()) : constant(draw(100));
        }
        break;
      default:
        moveOne(c.counts);
        break;
    }
  }

  // From one rank's share to another's, so that the sum stays.
  void moveOne(std::vector<uint32_t>& counts) {
    if (counts.size() < 2) return;
    uint32_t& from = counts[draw(counts.size())];
    uint32_t& to = counts[draw(counts.size())];
    from = sum(from, constant(-1));
    to = sum(to, constant(1));
  }
  uint32_t sum(uint32_t a, uint32_t b) {
    if (plan_.sizes[a].op() == fb::SizeOp::constant) {
      return constant(plan_.sizes[a].value() + plan_.sizes[b].value());
    }
    plan_.sizes.push_back({fb::SizeOp::add, a, b, 0});
    return static_cast<uint32_t>(plan_.sizes.size()) - 1;
  }

  void regroup() {
    fb::CollectiveT& c = collective();
    switch (draw(7)) {
      case 0:
        c.axis = draw(plan_.mesh.size() + 1);
        break;
      case 1:
        c.kind = static_cast<CollectiveKind>(draw(static_cast<int>(CollectiveKind::MAX) + 1));
        if (draw(2) == 0) c.counts = {};
        break;
      case 2:
        c.reduction = static_cast<fb::Reduction>(draw(static_cast<int>(fb::Reduction::MAX) + 1));
        break;
      case 3:
        c.dimension ^= 1;
        break;
      case 4:
        if (!c.counts.empty()) {
          std::swap(c.counts[draw(c.counts.size())], c.counts[draw(c.counts.size())]);
        }
        break;
      case 5:
        c.peer = draw(plan_.mesh[0]->size);
        break;
      default:  // other rows travel
        if (c.gates >= 0 && draw(3) == 0) {
          c.gates = -1;
          c.experts = {};
        } else if (c.gates < 0 || draw(2) == 0) {
          c.gates = static_cast<int32_t>(draw(entry_.buffers.size()));
        } else {
          c.experts[draw(c.experts.size())] += draw(2) == 0 ? 1 : -1;
        }
        break;
    }
  }

  fb::PlanT& plan_;
  fb::EntryT& entry_;
  Random& random_;
  std::vector<uint32_t> collectives_;
  uint32_t at_ = 0;
};

}  // namespace

std::string_view nameOf(Kind kind) {
  constexpr std::string_view kNames[] = {"drop",   "swap",   "duplicate",
                                         "resize", "retype", "regroup"};
  return kNames[static_cast<size_t>(kind)];
}

void mutate(fb::PlanT& plan, Kind kind, Random& random) { Mutation(plan, random).apply(kind); }

}  // namespace dcc::mutations
