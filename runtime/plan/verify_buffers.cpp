#include <algorithm>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/base/printable.h"
#include "runtime/plan/mesh.h"
#include "runtime/plan/verify_internal.h"

namespace dcc::plan {
namespace {

uint64_t elementBytes(const fb::Buffer& buffer) {
  return byteSize(static_cast<DType>(buffer.dtype()));
}

// Bytes from the first element to one past the last at the entry's bounds; nothing on overflow.
std::optional<uint64_t> checkedExtent(const EntryContext& context, const fb::Buffer& buffer) {
  int64_t most = context.ranges[buffer.rows()].most;
  if (most == 0) return 0;
  std::optional<uint64_t> elements =
      checkedMul(static_cast<uint64_t>(most - 1), buffer.row_stride());
  if (elements) elements = checkedAdd(*elements, buffer.cols());
  return elements ? checkedMul(*elements, elementBytes(buffer)) : std::nullopt;
}

Status verifyInput(const EntryContext& context, const fb::Buffer& buffer, const std::string& name) {
  if (buffer.storage() == fb::Storage::types && context.plan.token_types() == 0) {
    return context.error(name + " has types of tokens, of which the plan has none");
  }
  if (buffer.dtype() == fb::DType::i32 && context.sizes.isVariable(buffer.rows(), kT) &&
      buffer.cols() == 1 && buffer.row_stride() == 1 && buffer.offset() == 0 &&
      buffer.view_of() == -1) {
    return Status::success();
  }
  return context.error(name + " is a step input; it must be i32 [T, 1]");
}

Status verifyView(const EntryContext& context, uint32_t index, const std::string& name) {
  const fb::Buffer& view = context.buffer(index);
  if (view.view_of() < 0 || static_cast<uint32_t>(view.view_of()) >= index) {
    return context.error(name + " is a view of buffer " + std::to_string(view.view_of()) +
                         "; it must be of one that comes before it");
  }
  const fb::Buffer& base = context.buffer(static_cast<uint32_t>(view.view_of()));
  uint64_t element = elementBytes(view);
  bool inside = base.storage() == fb::Storage::arena && base.view_of() == -1 &&
                view.dtype() == base.dtype() && view.row_stride() == base.row_stride() &&
                context.sizes.equal(view.rows(), base.rows()) && view.offset() >= base.offset() &&
                (view.offset() - base.offset()) % element == 0;
  if (inside) {
    uint64_t begin = (view.offset() - base.offset()) / element;
    inside = begin < base.cols() && view.cols() <= base.cols() - begin;
  }
  if (inside) return Status::success();
  return context.error(name + " is not a range of the columns of buffer " +
                       std::to_string(view.view_of()) + ", of which it is a view");
}

Status verifyArena(const EntryContext& context, uint32_t index, const std::string& name) {
  const fb::Buffer& buffer = context.buffer(index);
  std::optional<uint64_t> end = checkedExtent(context, buffer);
  if (end) end = checkedAdd(*end, buffer.offset());
  if (!end || *end > context.entry.arena_bytes()) {
    return context.error(name + " ends outside the arena of " +
                         std::to_string(context.entry.arena_bytes()) + " bytes");
  }
  if (buffer.view_of() != -1) return verifyView(context, index, name);
  if (buffer.offset() % kBufferAlignment != 0) {
    return context.error(name + " is at byte " + std::to_string(buffer.offset()) +
                         ", not at a multiple of " + std::to_string(kBufferAlignment));
  }
  return Status::success();
}

// The columns that the ranks along the output's axis hold.
Status verifyCut(const EntryContext& context, const fb::Output& output, const std::string& name) {
  const fb::Buffer& buffer = context.buffer(output.buffer());
  Rows begins = rows(output.begins()), ends = rows(output.ends());
  if (output.axis() == -1) {
    if (begins.empty() && ends.empty() && output.columns() == buffer.cols()) {
      return Status::success();
    }
    return context.error(name + " is not cut, so its buffer must have its " +
                         std::to_string(output.columns()) + " columns");
  }
  Rows axes = rows(context.plan.mesh());
  if (output.axis() < 0 || static_cast<uint32_t>(output.axis()) >= axes.size()) {
    return context.error(name + " is cut over mesh axis " + std::to_string(output.axis()) +
                         ", which the plan doesn't have");
  }
  uint32_t axis = static_cast<uint32_t>(output.axis());
  if (begins.size() != axes[axis]->size() || ends.size() != begins.size()) {
    return context.error(name + " must have one range of columns per coordinate of its axis");
  }
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (uint32_t i = 0; i < begins.size(); ++i) {
    if (begins[i] > ends[i] || ends[i] > output.columns()) {
      return context.error(name + ": the columns of coordinate " + std::to_string(i) +
                           " are outside of its " + std::to_string(output.columns()));
    }
    ranges.emplace_back(begins[i], ends[i]);
  }
  auto [begin, end] = ranges[coordinate(context.plan, axis)];
  if (end - begin != buffer.cols()) {
    return context.error(name + ": this rank's columns are " + std::to_string(end - begin) +
                         ", its buffer has " + std::to_string(buffer.cols()));
  }
  std::sort(ranges.begin(), ranges.end());
  uint64_t covered = 0;
  for (auto [from, to] : ranges) {
    if (from > covered) break;
    covered = std::max(covered, to);
  }
  if (covered != output.columns()) {
    return context.error(name + ": no rank holds column " + std::to_string(covered));
  }
  return Status::success();
}

}  // namespace

Status verifyBuffers(const EntryContext& context) {
  if (context.entry.arena_bytes() > INT64_MAX) return context.error("its arena is impossibly big");
  for (uint32_t i = 0; i < context.bufferCount(); ++i) {
    const fb::Buffer& buffer = context.buffer(i);
    std::string name = "buffer " + std::to_string(i);
    if (buffer.rows() >= context.sizes.size()) {
      return context.error(name + " has as rows size " + std::to_string(buffer.rows()) +
                           ", which the plan doesn't have");
    }
    if (context.ranges[buffer.rows()].least < 0) {
      return context.error(name +
                           " may have less than 0 rows: " + context.sizes.text(buffer.rows()));
    }
    if (buffer.cols() == 0 || buffer.row_stride() < buffer.cols()) {
      return context.error(name + " must have columns and a row stride of at least as many");
    }
    DCC_RETURN_IF_ERROR(buffer.storage() == fb::Storage::arena
                            ? verifyArena(context, i, name)
                            : verifyInput(context, buffer, name));
  }
  return Status::success();
}

Status verifyOutputs(const EntryContext& context) {
  for (const fb::Output* output : rows(context.entry.outputs())) {
    std::string name = "output " + printable(text(output->name()));
    if (output->buffer() >= context.bufferCount()) {
      return context.error(name + " is buffer " + std::to_string(output->buffer()) +
                           ", which the entry doesn't have");
    }
    const fb::Buffer& buffer = context.buffer(output->buffer());
    if (buffer.storage() != fb::Storage::arena || buffer.dtype() != fb::DType::f32) {
      return context.error(name + " must be f32 in the arena");
    }
    const bool of_labels = text(context.entry.name()) == "encode";
    if (text(output->name()) == "logits" && !of_labels &&
        output->columns() != context.plan.vocab_size()) {
      return context.error(name + " has " + std::to_string(output->columns()) +
                           " columns; the vocabulary has " +
                           std::to_string(context.plan.vocab_size()));
    }
    DCC_RETURN_IF_ERROR(verifyCut(context, *output, name));
  }
  return Status::success();
}

Region regionOf(const EntryContext& context, uint32_t index) {
  const fb::Buffer& buffer = context.buffer(index);
  if (buffer.view_of() == -1) return {index, 0, buffer.cols()};
  uint32_t root = static_cast<uint32_t>(buffer.view_of());
  uint64_t begin = (buffer.offset() - context.buffer(root).offset()) / elementBytes(buffer);
  return {root, begin, begin + buffer.cols()};
}

uint64_t extentBytes(const EntryContext& context, uint32_t index) {
  return *checkedExtent(context, context.buffer(index));
}

}  // namespace dcc::plan
