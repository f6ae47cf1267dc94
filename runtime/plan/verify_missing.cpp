#include <algorithm>
#include <array>
#include <set>

#include "runtime/base/printable.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/verify_internal.h"

namespace dcc::plan {
namespace {

// What this build understands beyond kMajor and kMinor.
constexpr std::array kFeatures = {kRandomWeights, kWeightViews, kBlockScaled, kInvariantNumerics,
                                  kExpertExchange};
constexpr size_t kMostListed = 20;

// Collects what is unknown, each once.
class Missing {
 public:
  void add(std::string what) { what_.insert(std::move(what)); }
  template <class Enum>
  void checkEnum(Enum value, Enum last, std::string_view kind) {
    if (value > last) add(std::string(kind) + " " + std::to_string(static_cast<uint64_t>(value)));
  }
  bool empty() const { return what_.empty(); }
  std::string text() const {
    std::string list;
    size_t n = 0;
    for (const std::string& what : what_) {
      if (n++ == kMostListed) return list + ", ...";
      list += (list.empty() ? "" : ", ") + what;
    }
    return list;
  }

 private:
  std::set<std::string> what_;
};

void collectKernel(const fb::Kernel& kernel, Missing& missing) {
  if (!kernelInfo(kernel.kind())) {
    missing.add("kernel " + std::to_string(static_cast<uint64_t>(kernel.kind())));
  }
  for (const fb::Operand* operand : rows(kernel.operands())) {
    missing.checkEnum(operand->kind(), fb::OperandKind::MAX, "operand kind");
  }
  for (const fb::Attr* attr : rows(kernel.attrs())) {
    missing.checkEnum(attr->key(), fb::AttrKey::MAX, "attribute");
  }
}

void collectCollective(const fb::Collective& collective, Missing& missing) {
  missing.checkEnum(collective.kind(), fb::CollectiveKind::MAX, "collective");
  missing.checkEnum(collective.reduction(), fb::Reduction::MAX, "reduction");
  // In the schema, but nothing executes them yet.
  if (collective.kind() == fb::CollectiveKind::all_to_all ||
      collective.kind() == fb::CollectiveKind::send ||
      collective.kind() == fb::CollectiveKind::recv) {
    missing.add(std::string("collective ") + fb::EnumNameCollectiveKind(collective.kind()));
  }
  if (collective.reduction() == fb::Reduction::max) missing.add("reduction max");
}

void collectEntry(const fb::Entry& entry, Missing& missing) {
  for (const fb::Buffer* buffer : rows(entry.buffers())) {
    missing.checkEnum(buffer->dtype(), fb::DType::MAX, "dtype");
    missing.checkEnum(buffer->storage(), fb::Storage::MAX, "storage");
  }
  for (const fb::Instruction* instruction : rows(entry.instructions())) {
    missing.checkEnum(instruction->body_type(), fb::Body::MAX, "instruction");
    if (const fb::Kernel* kernel = instruction->body_as_Kernel()) {
      collectKernel(*kernel, missing);
    } else if (const fb::Collective* collective = instruction->body_as_Collective()) {
      collectCollective(*collective, missing);
    }
  }
}

}  // namespace

Status verifyKnown(const fb::Plan& plan, const std::string& name) {
  if (plan.major() != kMajor) {
    return userError(name + ": is of plan format " + std::to_string(plan.major()) + "." +
                     std::to_string(plan.minor()) + "; this build reads " + std::to_string(kMajor) +
                     ".x, so compile the model again");
  }
  Missing missing;
  for (const flatbuffers::String* feature : rows(plan.features())) {
    if (std::find(kFeatures.begin(), kFeatures.end(), text(feature)) == kFeatures.end()) {
      missing.add("feature " + printable(text(feature)));
    }
  }
  missing.checkEnum(plan.numerics(), fb::Numerics::MAX, "numerics");
  for (const fb::SizeNode* node : rows(plan.sizes())) {
    missing.checkEnum(node->op(), fb::SizeOp::MAX, "size operation");
  }
  for (const fb::Weight* weight : rows(plan.weights())) {
    missing.checkEnum(weight->dtype(), fb::DType::MAX, "dtype");
    missing.checkEnum(weight->layout(), fb::Layout::MAX, "layout");
    for (const fb::Piece* piece : rows(weight->pieces())) {
      missing.checkEnum(piece->decoding(), fb::Decoding::MAX, "decoding");
      missing.checkEnum(piece->source_dtype(), fb::DType::MAX, "dtype");
    }
  }
  for (const fb::Cache* cache : rows(plan.caches())) {
    missing.checkEnum(cache->dtype(), fb::DType::MAX, "dtype");
  }
  for (const fb::Entry* entry : rows(plan.entries())) collectEntry(*entry, missing);
  if (missing.empty()) return Status::success();
  return userError(name + ": needs what this build does not have: " + missing.text() +
                   "; use the version that compiled it (plan format " +
                   std::to_string(plan.major()) + "." + std::to_string(plan.minor()) +
                   ") or compile the model again");
}

}  // namespace dcc::plan
