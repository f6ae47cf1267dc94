// allocate: place the buffers of every entry in one arena.
//
// A buffer lives from its first use to its last, views counted with their base. Largest first, each
// goes to the lowest offset that is free during its life; sizes are taken at the entry's bounds.
//
// What a product reads lives until the gated activation of its result, where that follows: a
// backend may make one kernel of both, which writes the end while it still reads the beginning.
#include "passes/Passes.h"

#include "runtime/base/checked.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_ALLOCATE
#include "passes/Passes.h.inc"

namespace {

constexpr int64_t kAlignment = 64;  // bytes: a cache line, and a vector register

struct Block {
  planir::AllocOp op;
  int64_t bytes = 0;
  int64_t first = 0, last = 0;  // instructions, inclusive
  int64_t offset = -1;
};

class Allocator {
 public:
  explicit Allocator(planir::EntryOp entry) : entry_(entry) {}

  LogicalResult run() {
    if (failed(collect())) return failure();
    llvm::stable_sort(blocks_, [](const Block& a, const Block& b) { return a.bytes > b.bytes; });
    int64_t arena = 0;
    for (auto [i, block] : llvm::enumerate(blocks_)) {
      block.offset = lowestFree(block, ArrayRef(blocks_).take_front(i));
      block.op.setOffset(block.offset);
      arena = std::max(arena, block.offset + block.bytes);
    }
    entry_.setArena(arena);
    return success();
  }

 private:
  LogicalResult collect() {
    int64_t now = 0;
    llvm::DenseMap<Operation*, int64_t> when;
    for (Operation& op : entry_.getBody().front()) when[&op] = now++;
    for (auto op : entry_.getBody().front().getOps<planir::AllocOp>()) {
      Block block{op};
      planir::BufferType type = op.getType();
      std::optional<int64_t> rows = mostRows(type.getRows());
      if (!rows) {
        return op.emitError() << "has rows " << type.getRows()
                              << ", which the entry does not bound";
      }
      std::optional<int64_t> bytes = checkedMul(*rows, type.getStride());
      if (bytes)
        bytes = checkedMul<int64_t>(*bytes, type.getElementType().getIntOrFloatBitWidth() / 8);
      if (!bytes) return op.emitError() << "is too large";
      block.bytes = alignUp(*bytes, kAlignment);
      block.first = INT64_MAX;
      block.last = when[op];
      extend(block, op.getBuffer(), when, now);
      block.first = std::min(block.first, block.last);
      blocks_.push_back(block);
    }
    return success();
  }

  std::optional<int64_t> mostRows(Attribute rows) {
    if (auto n = dyn_cast<IntegerAttr>(rows)) return n.getInt();
    auto [name, axis] = nn::wholeOf(cast<StringAttr>(rows).getValue());
    auto bound = entry_.getBounds().getAs<IntegerAttr>(name);
    if (!bound) return std::nullopt;
    if (axis.empty()) return bound.getInt();
    auto ranks = dist::meshOf(entry_).sizeOf(StringAttr::get(entry_.getContext(), axis));
    return ranks ? std::optional(dist::tokensOf(bound.getInt(), 0, *ranks)) : std::nullopt;
  }

  // Results of the entry live to its end.
  void extend(Block& block, Value buffer, llvm::DenseMap<Operation*, int64_t>& when, int64_t end) {
    for (Operation* user : buffer.getUsers()) {
      if (auto view = dyn_cast<planir::ViewOp>(user)) {
        extend(block, view.getBuffer(), when, end);
        continue;
      }
      block.first = std::min(block.first, when[user]);
      block.last = std::max(block.last, isa<planir::OutputOp>(user) ? end : when[lastReader(user)]);
    }
  }

  // The instruction itself, or the one that it may become one kernel with.
  static Operation* lastReader(Operation* user) {
    if (!isa<planir::GemmOp>(user)) return user;
    Operation* next = user->getNextNode();
    while (isa_and_nonnull<planir::ViewOp, planir::AllocOp>(next)) next = next->getNextNode();
    auto kernel = dyn_cast_if_present<planir::KernelOp>(next);
    return kernel && kernel.getKind() == "gated_activation" ? next : user;
  }

  static int64_t lowestFree(const Block& block, ArrayRef<Block> placed) {
    SmallVector<const Block*> busy;
    for (const Block& other : placed) {
      if (other.first <= block.last && block.first <= other.last) busy.push_back(&other);
    }
    llvm::sort(busy, [](const Block* a, const Block* b) { return a->offset < b->offset; });
    int64_t offset = 0;
    for (const Block* other : busy) {
      if (offset + block.bytes <= other->offset) break;
      offset = std::max(offset, other->offset + other->bytes);
    }
    return offset;
  }

  planir::EntryOp entry_;
  SmallVector<Block> blocks_;
};

struct Allocate : impl::AllocateBase<Allocate> {
  void runOnOperation() override {
    WalkResult walked = getOperation().walk([](planir::EntryOp entry) {
      return failed(Allocator(entry).run()) ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (walked.wasInterrupted()) signalPassFailure();
  }
};

}  // namespace
}  // namespace dcc
