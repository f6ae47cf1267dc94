#include <charconv>

#include "runtime/base/printable.h"
#include "runtime/plan/access.h"
#include "runtime/plan/describe.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/mesh.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/size_analysis.h"

namespace dcc::plan {
namespace {

std::string number(uint64_t value) { return std::to_string(value); }

// The shortest decimal that reads back as the same number.
template <class T>
std::string shortest(T value) {
  char buffer[32];
  auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return std::string(buffer, end);
}

std::string named(const flatbuffers::String* name) { return printable(text(name), 1000); }

class Dump {
 public:
  Dump(const fb::Plan& plan, SizeAnalysis sizes) : plan_(plan), sizes_(std::move(sizes)) {}

  std::string run() {
    header();
    for (uint32_t i = 0; i < rows(plan_.files()).size(); ++i) {
      const fb::File& file = *plan_.files()->Get(i);
      line("file " + number(i) + " " + named(file.path()) + ": " + number(file.bytes()) +
           " bytes, " + contents(file));
    }
    for (uint32_t i = 0; i < rows(plan_.weights()).size(); ++i) weight(i);
    for (uint32_t i = 0; i < rows(plan_.constants()).size(); ++i) {
      const fb::Constant& constant = *plan_.constants()->Get(i);
      std::string values;
      for (float value : rows(constant.values())) values += " " + shortest(value);
      line("constant " + number(i) + " " + named(constant.name()) + ":" + values);
    }
    for (uint32_t i = 0; i < rows(plan_.page_groups()).size(); ++i) {
      const fb::PageGroup& group = *plan_.page_groups()->Get(i);
      line("page_group " + number(i) + " " + named(group.name()) + ": " + number(group.pages()) +
           " pages of " + number(group.tokens_per_page()) + " tokens, " +
           number(group.bytes_per_page()) + " bytes, window " + number(group.window()));
    }
    for (uint32_t i = 0; i < rows(plan_.caches()).size(); ++i) {
      const fb::Cache& cache = *plan_.caches()->Get(i);
      line("cache " + number(i) + " " + named(cache.module_()) + ": group " +
           number(cache.group()) + ", " + number(cache.heads()) + " heads, k " +
           number(cache.k_dim()) + " at " + number(cache.k_offset()) + ", v " +
           number(cache.v_dim()) + " at " + number(cache.v_offset()) + ", " +
           fb::EnumNameDType(cache.dtype()));
    }
    for (const fb::Entry* entry : rows(plan_.entries())) entryRows(*entry);
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_ += text + "\n"; }

  std::string axisName(uint32_t axis) const { return named(plan_.mesh()->Get(axis)->name()); }

  void header() {
    line("plan " + number(plan_.major()) + "." + number(plan_.minor()) + ": " +
         named(plan_.model()));
    for (const flatbuffers::String* feature : rows(plan_.features())) {
      line("feature " + named(feature));
    }
    if (plan_.numerics() != fb::Numerics::fast) {
      line(std::string("numerics ") + fb::EnumNameNumerics(plan_.numerics()));
    }
    std::string mesh;
    for (const fb::Axis* axis : rows(plan_.mesh())) {
      mesh += (mesh.empty() ? "" : ", ") + named(axis->name()) + " = " + number(axis->size());
    }
    line("rank " + number(plan_.rank()) + " of <" + mesh + ">");
    line("program " + hashOf(*plan_.program_hash()).hex());
    for (uint32_t axis = 0; axis < rows(plan_.collective_hashes()).size(); ++axis) {
      line("collectives over " + axisName(axis) + " " +
           hashOf(*plan_.collective_hashes()->Get(axis)).hex());
    }
    line("compilation " + hashOf(*plan_.compilation_id()).hex());
    line("bounds max_tokens " + number(plan_.max_tokens()) + ", max_seqs " +
         number(plan_.max_seqs()) + ", max_seq_len " + number(plan_.max_seq_len()) +
         ", vocabulary " + number(plan_.vocab_size()));
    for (uint32_t i = 0; i < sizes_.size(); ++i) {
      line("size " + number(i) + " = " + sizes_.text(i));
    }
    line("checkpoint " + named(plan_.checkpoint()));
  }

  // How the file is known, or made.
  static std::string contents(const fb::File& file) {
    const fb::Random* random = file.random();
    if (!random) return "header " + hashOf(*file.header_hash()).hex();
    return "random by seed " + number(random->seed()) + ", " + shortest(random->mean()) + " +- " +
           shortest(random->spread());
  }

  void weight(uint32_t i) {
    const fb::Weight& weight = *plan_.weights()->Get(i);
    line("weight " + number(i) + " " + named(weight.module_()) + ": " +
         fb::EnumNameDType(weight.dtype()) + " [" + number(weight.rows()) + ", " +
         number(weight.cols()) + "]" +
         (weight.row_origin() ? " from row " + number(weight.row_origin()) : ""));
    for (const fb::Piece* piece : rows(weight.pieces())) {
      std::string runs = number(piece->run());
      if (piece->count() > 1) {
        runs = number(piece->count()) + " x " + runs + " every " + number(piece->source_stride()) +
               " to every " + number(piece->dest_stride());
      }
      line("  piece at " + number(piece->dest_offset()) + ": " + runs + " from file " +
           number(piece->file()) + " byte " + number(piece->source_offset()) + ", " +
           fb::EnumNameDType(piece->source_dtype()) + " " + named(piece->tensor()));
    }
  }

  void entryRows(const fb::Entry& entry) {
    std::string bounds;
    for (uint32_t i = 0; i < rows(entry.bounds()).size(); ++i) {
      bounds +=
          ", " + named(plan_.variables()->Get(i)) + " <= " + std::to_string(entry.bounds()->Get(i));
    }
    line("entry " + named(entry.name()) + bounds + ", arena " + number(entry.arena_bytes()));
    for (uint32_t i = 0; i < rows(entry.buffers()).size(); ++i) buffer(entry, i);
    for (uint32_t i = 0; i < rows(entry.instructions()).size(); ++i) {
      const fb::Instruction& instruction = *entry.instructions()->Get(i);
      std::string because = named(instruction.because());
      line("  " + number(i) + ": " + body(instruction) + "  # " + named(instruction.module_()) +
           (because.empty() ? "" : " because " + because));
    }
    for (const fb::Output* output : rows(entry.outputs())) {
      std::string cut;
      if (output->axis() >= 0) {
        cut = ", cut over " + axisName(static_cast<uint32_t>(output->axis())) + ":";
        for (uint32_t i = 0; i < rows(output->begins()).size(); ++i) {
          cut += " " + number(output->begins()->Get(i)) + "-" + number(output->ends()->Get(i));
        }
      }
      line("  output " + named(output->name()) + " = b" + number(output->buffer()) + ", " +
           number(output->columns()) + " columns" + cut);
    }
  }

  void buffer(const fb::Entry& entry, uint32_t i) {
    const fb::Buffer& buffer = *entry.buffers()->Get(i);
    std::string place = std::string(fb::EnumNameStorage(buffer.storage()));
    if (buffer.storage() == fb::Storage::arena) place += " " + number(buffer.offset());
    if (buffer.view_of() >= 0) place += ", view of b" + std::to_string(buffer.view_of());
    if (buffer.row_stride() != buffer.cols()) place += ", stride " + number(buffer.row_stride());
    line("  b" + number(i) + " " + fb::EnumNameDType(buffer.dtype()) + " [" +
         sizes_.text(buffer.rows()) + ", " + number(buffer.cols()) + "] " + place);
  }

  std::string body(const fb::Instruction& instruction) const {
    if (const fb::Gemm* gemm = instruction.body_as_Gemm()) {
      std::string bias = gemm->bias() >= 0 ? ", bias w" + std::to_string(gemm->bias()) : "";
      return "b" + number(gemm->out()) + " = gemm b" + number(gemm->a()) + ", w" +
             number(gemm->weight()) + bias +
             (gemm->chunks() > 1 ? ", chunks " + number(gemm->chunks()) : "");
    }
    if (const fb::Kernel* k = instruction.body_as_Kernel()) return kernel(*k);
    const fb::Collective& c = *instruction.body_as_Collective();
    std::string counts;
    for (uint32_t count : rows(c.counts())) counts += " " + sizes_.text(count);
    std::string text = "b" + number(c.output()) + " = " + fb::EnumNameCollectiveKind(c.kind()) +
                       " b" + number(c.input()) + " over " + axisName(c.axis());
    if (c.reduction() != fb::Reduction::none) {
      text += std::string(", ") + fb::EnumNameReduction(c.reduction());
    }
    if (!counts.empty()) text += (c.dimension() ? ", columns" : ", rows") + counts;
    if (c.gates() >= 0) {
      text += ", for b" + number(c.gates()) + " experts";
      for (uint64_t bound : rows(c.experts())) text += " " + number(bound);
    }
    return text;
  }

  std::string kernel(const fb::Kernel& kernel) const {
    const KernelInfo& info = *kernelInfo(kernel.kind());
    std::string inputs, outputs;
    for (uint32_t i = 0; i < kernel.operands()->size(); ++i) {
      bool output = info.operands[i].role == Role::kOutput;
      std::string& list = output ? outputs : inputs;
      list += (list.empty() ? "" : ", ") + operand(*kernel.operands()->Get(i));
    }
    std::string text = (outputs.empty() ? "" : outputs + " = ") + std::string(info.name) +
                       (inputs.empty() ? "" : " " + inputs);
    for (const fb::Attr* attr : rows(kernel.attrs())) text += ", " + attrText(*attr);
    for (uint32_t i = 0; i + 1 < rows(kernel.ranges()).size(); i += 2) {
      text += ", " + number(kernel.ranges()->Get(i)) + "-" + number(kernel.ranges()->Get(i + 1));
    }
    return text;
  }

  static std::string operand(const fb::Operand& operand) {
    switch (operand.kind()) {
      case fb::OperandKind::buffer:
        return "b" + number(operand.index());
      case fb::OperandKind::weight:
        return "w" + number(operand.index());
      case fb::OperandKind::cache:
        return "cache " + number(operand.index());
      case fb::OperandKind::constant:
        return "constant " + number(operand.index());
      case fb::OperandKind::none:
        break;
    }
    return "none";
  }

  const fb::Plan& plan_;
  SizeAnalysis sizes_;
  std::string out_;
};

}  // namespace

std::string dump(const fb::Plan& plan) {
  Result<SizeAnalysis> sizes = SizeAnalysis::of(plan, "plan");
  if (!sizes.ok()) return sizes.error().message + "\n";  // not verified, against the contract
  return Dump(plan, std::move(sizes).value()).run();
}

}  // namespace dcc::plan
