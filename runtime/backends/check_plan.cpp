#include "runtime/backends/check_plan.h"

#include <set>
#include <string>

#include "runtime/base/dtype.h"
#include "runtime/plan/access.h"
#include "runtime/plan/kernels.h"

namespace dcc {
namespace {

namespace fb = plan::fb;

constexpr bool isFloat(DType type) {
  return type == DType::kF32 || type == DType::kBF16 || type == DType::kF16;
}

// What is missing, each said once.
class Lacks {
 public:
  void add(const std::string& what, const flatbuffers::String* module) {
    if (!said_.insert(what).second) return;
    if (!list_.empty()) list_ += ", ";
    list_ += what;
    if (module && module->size() > 0) list_ += " (" + module->str() + ")";
  }
  Status status(std::string_view backend) const {
    if (list_.empty()) return Status::success();
    return userError("the " + std::string(backend) + " backend of this build lacks " + list_ +
                     "; recompile the model for it, or use a newer drun");
  }

 private:
  std::set<std::string> said_;
  std::string list_;
};

class Check {
 public:
  Check(const fb::Plan& plan, const Abilities& abilities) : plan_(plan), abilities_(abilities) {}

  Status run() {
    for (const fb::Weight* weight : plan::rows(plan_.weights())) {
      checkType("weights", weight->dtype(), weight->module_());
      if (weight->layout() != fb::Layout::row_major) {
        lacks_.add("weight layout number " + std::to_string(static_cast<int>(weight->layout())),
                   weight->module_());
      }
    }
    for (const fb::Cache* cache : plan::rows(plan_.caches())) {
      checkType("caches", cache->dtype(), cache->module_());
    }
    if (plan_.numerics() == fb::Numerics::invariant && !abilities_.invariant) {
      lacks_.add("--numerics invariant", nullptr);
    }
    for (const fb::Entry* entry : plan::rows(plan_.entries())) checkEntry(*entry);
    return lacks_.status(abilities_.name);
  }

 private:
  void checkType(const std::string& what, fb::DType type, const flatbuffers::String* module) {
    const auto dtype = static_cast<DType>(type);
    if (!isFloat(dtype)) lacks_.add(what + " of type " + std::string(name(dtype)), module);
  }
  void checkKernel(const fb::Kernel& kernel, const flatbuffers::String* module);
  void checkCollective(const fb::Entry& entry, const fb::Collective& c,
                       const flatbuffers::String* module);
  void checkEntry(const fb::Entry& entry);

  const fb::Plan& plan_;
  const Abilities& abilities_;
  Lacks lacks_;
};

void Check::checkKernel(const fb::Kernel& kernel, const flatbuffers::String* module) {
  const plan::KernelInfo* info = plan::kernelInfo(kernel.kind());
  if (info == nullptr || !abilities_.has_kernel(kernel.kind())) {
    lacks_.add(info ? "kernel " + std::string(info->name)
                    : "kernel number " + std::to_string(static_cast<int>(kernel.kind())),
               module);
    return;
  }
  for (const fb::Attr* attr : plan::rows(kernel.attrs())) {
    if (attr->key() == fb::AttrKey::function && (attr->i() < 0 || attr->i() >= plan::kFunctions)) {
      lacks_.add("activation function number " + std::to_string(attr->i()), module);
    }
    if (attr->key() == fb::AttrKey::head_dim && attr->i() > abilities_.max_head_dim) {
      lacks_.add("heads of more than " + std::to_string(abilities_.max_head_dim) + " columns",
                 module);
    }
  }
}

void Check::checkCollective(const fb::Entry& entry, const fb::Collective& c,
                            const flatbuffers::String* module) {
  const auto type = static_cast<DType>(entry.buffers()->Get(c.input())->dtype());
  if (!abilities_.has_collective(c)) {
    lacks_.add(std::string("collective ") + fb::EnumNameCollectiveKind(c.kind()) + " of " +
                   fb::EnumNameReduction(c.reduction()),
               module);
  } else if (c.reduction() != fb::Reduction::none && type != DType::kF32) {
    lacks_.add("sums over ranks in " + std::string(name(type)), module);
  }
}

void Check::checkEntry(const fb::Entry& entry) {
  for (const fb::Buffer* buffer : plan::rows(entry.buffers())) {
    if (buffer->storage() == fb::Storage::arena) {
      checkType("buffers", buffer->dtype(), entry.name());
    }
  }
  for (const fb::Instruction* instruction : plan::rows(entry.instructions())) {
    if (const fb::Kernel* kernel = instruction->body_as_Kernel()) {
      checkKernel(*kernel, instruction->module_());
    } else if (const fb::Collective* c = instruction->body_as_Collective()) {
      checkCollective(entry, *c, instruction->module_());
    } else if (instruction->body_type() != fb::Body::Gemm) {
      lacks_.add("instruction kind " + std::to_string(static_cast<int>(instruction->body_type())),
                 instruction->module_());
    }
  }
  for (const fb::Output* output : plan::rows(entry.outputs())) {
    const auto type = static_cast<DType>(entry.buffers()->Get(output->buffer())->dtype());
    if (type != DType::kF32) {
      lacks_.add("outputs of type " + std::string(name(type)), output->name());
    }
  }
}

}  // namespace

Status checkPlan(const fb::Plan& plan, const Abilities& abilities) {
  return Check(plan, abilities).run();
}

}  // namespace dcc
