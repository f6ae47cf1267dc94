#include <algorithm>
#include <bit>
#include <cmath>

#include "runtime/plan/dataflow.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/verify_internal.h"

namespace dcc::plan {
namespace {

bool isMatrixType(fb::DType type) {
  return type == fb::DType::f32 || type == fb::DType::bf16 || type == fb::DType::f16;
}

std::string weightShape(const fb::Weight& weight) {
  return "[" + std::to_string(weight.rows()) + ", " + std::to_string(weight.cols()) + "]";
}

// The rest of a message when `index` is not below `count`; empty when it is.
std::string outOfRange(std::string_view kind, uint32_t index, uint32_t count) {
  if (index < count) return "";
  return std::string(kind) + " " + std::to_string(index) + " does not exist; there are " +
         std::to_string(count);
}

std::string gemmProblem(const EntryContext& context, const fb::Gemm& gemm) {
  uint32_t weights = rows(context.plan.weights()).size();
  for (uint32_t index : {gemm.a(), gemm.out()}) {
    std::string problem = outOfRange("buffer", index, context.bufferCount());
    if (!problem.empty()) return problem;
  }
  if (std::string problem = outOfRange("weight", gemm.weight(), weights); !problem.empty()) {
    return problem;
  }
  if (gemm.bias() < -1) return "bias must be a weight or -1";
  if (gemm.bias() >= 0) {
    std::string problem = outOfRange("weight", static_cast<uint32_t>(gemm.bias()), weights);
    if (!problem.empty()) return problem;
  }
  const fb::Buffer& a = context.buffer(gemm.a());
  const fb::Buffer& out = context.buffer(gemm.out());
  const fb::Weight& weight = *context.plan.weights()->Get(gemm.weight());
  if (!isMatrixType(a.dtype()) || !isMatrixType(out.dtype())) {
    return "buffers must be f32, bf16 or f16";
  }
  if (!isMatrixType(weight.dtype())) return "the weight must be f32, bf16 or f16";
  if (a.cols() != weight.cols() || out.cols() != weight.rows() ||
      !context.sizes.equal(a.rows(), out.rows())) {
    return "a " + context.shape(a) + ", weight " + weightShape(weight) + " and out " +
           context.shape(out) + " must be [m, k], [n, k] and [m, n]";
  }
  if (gemm.bias() >= 0) {
    const fb::Weight& bias = *context.plan.weights()->Get(static_cast<uint32_t>(gemm.bias()));
    if (bias.dtype() != fb::DType::f32 || bias.rows() != 1 || bias.cols() != weight.rows()) {
      return "the bias " + weightShape(bias) + " must be f32 [1, " + std::to_string(weight.rows()) +
             "]";
    }
  }
  return partsProblem(context.plan, "chunks", gemm.chunks(), weight.cols());
}

fb::OperandKind kindOf(Role role) {
  switch (role) {
    case Role::kInput:
    case Role::kOutput:
      return fb::OperandKind::buffer;
    case Role::kWeight:
      return fb::OperandKind::weight;
    case Role::kCache:
      return fb::OperandKind::cache;
    case Role::kConstant:
      return fb::OperandKind::constant;
  }
  return fb::OperandKind::none;
}

std::string operandsProblem(const EntryContext& context, const KernelInfo& info,
                            const fb::Kernel& kernel) {
  Rows operands = rows(kernel.operands());
  const size_t required = requiredOperands(info);
  if (operands.size() < required || operands.size() > info.operands.size()) {
    std::string most =
        info.operands.size() > required ? " to " + std::to_string(info.operands.size()) : "";
    return "has " + std::to_string(operands.size()) + " operands; there must be " +
           std::to_string(required) + most;
  }
  for (uint32_t i = 0; i < operands.size(); ++i) {
    fb::OperandKind kind = kindOf(info.operands[i].role);
    std::string_view kind_name = fb::EnumNameOperandKind(kind);
    if (operands[i]->kind() != kind) {
      return "operand " + std::string(info.operands[i].name) + " must be a " +
             std::string(kind_name);
    }
    uint32_t count = kind == fb::OperandKind::buffer   ? context.bufferCount()
                     : kind == fb::OperandKind::weight ? rows(context.plan.weights()).size()
                     : kind == fb::OperandKind::cache  ? rows(context.plan.caches()).size()
                                                       : rows(context.plan.constants()).size();
    std::string problem = outOfRange(kind_name, operands[i]->index(), count);
    if (!problem.empty()) return "operand " + std::string(info.operands[i].name) + ": " + problem;
  }
  return "";
}

std::string attrsProblem(const KernelInfo& info, const fb::Kernel& kernel) {
  const fb::Attr* previous = nullptr;
  for (const fb::Attr* attr : rows(kernel.attrs())) {
    std::string name = "attribute " + std::string(attrName(attr->key()));
    if (previous && attr->key() <= previous->key()) return "attributes must be sorted and unique";
    previous = attr;
    auto known = std::find_if(info.attrs.begin(), info.attrs.end(),
                              [&](const AttrInfo& a) { return a.key == attr->key(); });
    if (known == info.attrs.end()) return name + " means nothing to this kernel";
    if (known->isFloat ? attr->i() != 0 || !std::isfinite(attr->f()) : attr->f() != 0) {
      return name + " must be " + (known->isFloat ? "a finite number" : "an integer");
    }
  }
  for (const AttrInfo& attr : info.attrs) {
    if (!attr.required) continue;
    bool found = false;
    for (const fb::Attr* given : rows(kernel.attrs())) found |= given->key() == attr.key;
    if (!found) return "attribute " + std::string(attrName(attr.key)) + " is missing";
  }
  return "";
}

std::string kernelWhole(const EntryContext& context, const fb::Kernel& kernel) {
  const KernelInfo& info = *kernelInfo(kernel.kind());  // verifyKnown saw to it
  std::string problem = operandsProblem(context, info, kernel);
  if (problem.empty()) problem = attrsProblem(info, kernel);
  if (problem.empty()) problem = kernelProblem(context, kernel);
  return problem;
}

}  // namespace

std::string partsProblem(const fb::Plan& plan, std::string_view name, int64_t parts,
                         uint64_t size) {
  const bool power = parts >= 1 && parts <= kMaxChunks && std::has_single_bit<uint64_t>(parts);
  if (!power || size % static_cast<uint64_t>(parts) != 0) {
    return std::string(name) + " must be a power of two up to " + std::to_string(kMaxChunks) +
           " that divides " + std::to_string(size);
  }
  if (parts > 1 && plan.numerics() != fb::Numerics::invariant) {
    return std::string(name) + " mean nothing to fast numerics";
  }
  return "";
}

Status verifyInstructions(const EntryContext& context) {
  uint32_t i = 0;
  Writers writers(context.bufferCount());
  for (const fb::Instruction* instruction : rows(context.entry.instructions())) {
    std::string problem;
    if (const fb::Gemm* gemm = instruction->body_as_Gemm()) {
      problem = gemmProblem(context, *gemm);
    } else if (const fb::Kernel* kernel = instruction->body_as_Kernel()) {
      problem = kernelWhole(context, *kernel);
    } else if (const fb::Collective* collective = instruction->body_as_Collective()) {
      problem = text(instruction->because()).empty()
                    ? "has no reason; `because` must name the rule or need that asked for it"
                    : collectiveProblem(context, *collective, writers);
    } else {
      problem = "has no body";
    }
    if (!problem.empty()) return context.error(i, problem);
    for (const Write& write : accessesOf(*instruction).writes) {
      writers[rootOf(context.entry, write.buffer)] = instruction;
    }
    ++i;
  }
  return Status::success();
}

}  // namespace dcc::plan
