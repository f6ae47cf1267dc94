#include <algorithm>
#include <cmath>

#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/base/file.h"
#include "runtime/base/printable.h"
#include "runtime/plan/verify_internal.h"

namespace dcc::plan {
namespace {

DType dtypeOf(fb::DType type) { return static_cast<DType>(type); }

bool isFloat(fb::DType type) {
  return type == fb::DType::f32 || type == fb::DType::bf16 || type == fb::DType::f16;
}

// Elements from the first to one past the last of `count` runs whose elements are `step` apart;
// nothing when that overflows.
std::optional<uint64_t> span(uint64_t run, uint64_t step, uint64_t stride, uint64_t count) {
  std::optional<uint64_t> last = checkedMul(count - 1, stride);
  std::optional<uint64_t> within = checkedMul(run - 1, step);
  if (!last || !within) return std::nullopt;
  last = checkedAdd(*last, *within);
  return last ? checkedAdd<uint64_t>(*last, 1) : std::nullopt;
}

// Runs of a piece in its weight: `count` runs of `run` elements, `stride` apart, from `begin`, up
// to `end`.
struct Runs {
  uint64_t begin, end, run, stride, count;
};

// Groups of pieces whose spans overlap must interleave: same stride and count, their runs side by
// side, filling each stride. `group` is sorted by begin; returns whether it fills its span.
bool interleaves(std::span<const Runs> group) {
  if (group.size() == 1 && group[0].count == 1) return true;
  uint64_t stride = group[0].stride, next = group[0].begin;
  for (const Runs& runs : group) {
    if (runs.stride != stride || runs.count != group[0].count || runs.begin != next) return false;
    next += runs.run;
  }
  return next - group[0].begin == stride;
}

// Whether the pieces cover [0, elements) exactly once each.
bool coverOnce(std::vector<Runs> pieces, uint64_t elements) {
  for (Runs& runs : pieces) {
    // Runs without gaps are one run.
    if (runs.stride == runs.run) runs = {runs.begin, runs.end, runs.end - runs.begin, 0, 1};
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const Runs& a, const Runs& b) { return a.begin < b.begin; });
  uint64_t filled = 0;
  for (size_t first = 0; first < pieces.size();) {
    if (pieces[first].begin != filled) return false;
    size_t last = first;
    for (; last < pieces.size() && (last == first || pieces[last].begin < filled); ++last) {
      filled = std::max(filled, pieces[last].end);
    }
    if (!interleaves({&pieces[first], last - first})) return false;
    first = last;
  }
  return filled == elements;
}

// Where the elements of an encoded piece and their scales are.
Status verifyEncoded(const fb::Plan& plan, const fb::Piece& piece, const std::string& where) {
  const fb::Scales* scales = piece.scales();
  if (!scales || piece.source_dtype() != fb::DType::u8 || piece.source_step() != 1) {
    return userError(where + ": is encoded, so it must be u8 in runs without gaps, with scales");
  }
  const bool mxfp4 = piece.decoding() == fb::Decoding::mxfp4;
  const uint64_t columns = scales->columns();
  if (columns == 0 || scales->block_rows() == 0 || scales->block_columns() == 0 ||
      (mxfp4 &&
       (columns % 32 != 0 || scales->block_rows() != 1 || scales->block_columns() != 32))) {
    return userError(where + ": has impossible blocks of scales");
  }
  const uint64_t column = piece.origin() % columns;
  if (piece.run() > columns - column ||
      (piece.count() > 1 && piece.source_stride() % columns != 0)) {
    return userError(where + ": has runs that leave their rows");
  }
  std::optional<uint64_t> end = span(piece.run(), 1, piece.source_stride(), piece.count());
  if (end) end = checkedAdd(*end, piece.origin());
  const std::optional<uint64_t> bytes =
      end ? checkedAdd(mxfp4 ? *end / 2 + *end % 2 : *end, piece.source_offset()) : std::nullopt;
  if (!bytes || *bytes > plan.files()->Get(piece.file())->bytes()) {
    return userError(where + ": reads beyond its file");
  }
  if (scales->file() >= rows(plan.files()).size()) {
    return userError(where + ": has scales in file " + std::to_string(scales->file()) +
                     ", which the plan doesn't have");
  }
  const fb::File& file = *plan.files()->Get(scales->file());
  // The last element's scale: rows and columns of blocks are fewer than elements.
  const uint64_t blocks = ceilDiv(columns, scales->block_columns());
  std::optional<uint64_t> scale =
      checkedMul((*end - 1) / columns / scales->block_rows() + 1, blocks);
  if (scale) scale = checkedMul<uint64_t>(*scale, mxfp4 ? 1 : 4);
  if (scale) scale = checkedAdd(*scale, scales->offset());
  if (!scale || *scale > file.bytes() || file.random() ||
      plan.files()->Get(piece.file())->random()) {
    return userError(where + ": has scales beyond their file");
  }
  return Status::success();
}

// Checks a piece by itself; its place in the weight is appended to `placed`.
Status verifyPiece(const fb::Plan& plan, const fb::Weight& weight, const fb::Piece& piece,
                   uint64_t elements, const std::string& where, std::vector<Runs>& placed) {
  if (piece.file() >= rows(plan.files()).size()) {
    return userError(where + ": comes from file " + std::to_string(piece.file()) +
                     ", which the plan doesn't have");
  }
  const fb::File& file = *plan.files()->Get(piece.file());
  if (piece.run() == 0 || piece.count() == 0) return userError(where + ": is empty");
  if (piece.source_step() == 0 || piece.dest_step() == 0) {
    return userError(where + ": has elements that are 0 apart");
  }
  const bool encoded = piece.decoding() != fb::Decoding::copy;
  if (encoded) {
    DCC_RETURN_IF_ERROR(verifyEncoded(plan, piece, where));
  } else if (piece.scales() || piece.origin() != 0) {
    return userError(where + ": has scales that mean nothing to it");
  }
  std::optional<uint64_t> source =
      span(piece.run(), piece.source_step(), piece.source_stride(), piece.count());
  if (source) source = checkedMul<uint64_t>(*source, byteSize(dtypeOf(piece.source_dtype())));
  if (source) source = checkedAdd(*source, piece.source_offset());
  if (!encoded && (!source || *source > file.bytes())) {
    return userError(where + ": reads beyond the " + std::to_string(file.bytes()) + " bytes of " +
                     printable(text(file.path())));
  }
  if (file.random() && (!isFloat(piece.source_dtype()) ||
                        piece.source_offset() % byteSize(dtypeOf(piece.source_dtype())) != 0)) {
    return userError(where + ": what is drawn at random is a whole f32, bf16 or f16");
  }
  // Of a transposed piece the runs lie side by side: in the weight it is `run` runs of `count`.
  const bool transposed = piece.dest_step() > 1;
  if (transposed && (piece.dest_stride() != 1 || piece.count() > piece.dest_step())) {
    return userError(where + ": has runs with gaps that do not lie side by side");
  }
  const uint64_t run = transposed ? piece.count() : piece.run();
  const uint64_t count = transposed ? piece.run() : piece.count();
  const uint64_t stride = transposed ? piece.dest_step() : piece.dest_stride();
  std::optional<uint64_t> end = span(run, 1, stride, count);
  if (end) end = checkedAdd(*end, piece.dest_offset());
  if (!end || *end > elements || (count > 1 && stride < run)) {
    return userError(where + ": does not fit into the weight's " + std::to_string(elements) +
                     " elements");
  }
  bool converts = (encoded || isFloat(piece.source_dtype())) && isFloat(weight.dtype());
  if (!converts && piece.source_dtype() != weight.dtype()) {
    return userError(where + ": " + std::string(name(dtypeOf(piece.source_dtype()))) +
                     " cannot be converted to " + std::string(name(dtypeOf(weight.dtype()))));
  }
  placed.push_back({piece.dest_offset(), *end, run, stride, count});
  return Status::success();
}

Status verifyWeight(const fb::Plan& plan, const fb::Weight& weight, const std::string& where,
                    uint64_t& total_bytes) {
  std::optional<uint64_t> elements = checkedMul(weight.rows(), weight.cols());
  std::optional<uint64_t> bytes =
      elements ? checkedMul<uint64_t>(*elements, byteSize(dtypeOf(weight.dtype()))) : std::nullopt;
  if (bytes) bytes = checkedAdd(total_bytes, *bytes);
  if (!bytes || *elements == 0 || *bytes > INT64_MAX) {
    return userError(where + ": has the impossible shape [" + std::to_string(weight.rows()) + ", " +
                     std::to_string(weight.cols()) + "]");
  }
  total_bytes = *bytes;
  if (!std::isfinite(weight.plus()) || (weight.plus() != 0 && weight.dtype() != fb::DType::f32)) {
    return userError(where + ": adds " + std::to_string(weight.plus()) +
                     " to its elements; it must be a finite number, added to f32");
  }
  if (!checkedAdd(weight.row_origin(), weight.rows())) {
    return userError(where + ": begins at the impossible row " +
                     std::to_string(weight.row_origin()));
  }
  std::vector<Runs> placed;
  for (const fb::Piece* piece : rows(weight.pieces())) {
    std::string piece_where = where + ": piece " + std::to_string(placed.size()) + " (" +
                              printable(text(piece->tensor())) + ")";
    DCC_RETURN_IF_ERROR(verifyPiece(plan, weight, *piece, *elements, piece_where, placed));
  }
  if (!coverOnce(std::move(placed), *elements)) {
    return userError(where + ": its pieces do not fill each of its " + std::to_string(*elements) +
                     " elements exactly once");
  }
  return Status::success();
}

// A reader that doesn't know of them would take other elements.
bool isView(const fb::Weight& weight) {
  Rows pieces = rows(weight.pieces());
  return weight.plus() != 0 ||
         std::any_of(pieces.begin(), pieces.end(), [](const fb::Piece* piece) {
           return piece->source_step() != 1 || piece->dest_step() != 1;
         });
}

// That the plan says how the file is known, or how it is made.
Status verifyContents(const fb::Plan& plan, const fb::File& file, const std::string& where) {
  const fb::Random* random = file.random();
  if (!random) {
    return file.header_hash() ? Status::success() : userError(where + ": has no header hash");
  }
  if (!needs(plan, kRandomWeights)) {
    return userError(where + ": is random, so the plan must need the feature " +
                     std::string(kRandomWeights));
  }
  if (!std::isfinite(random->mean()) || !std::isfinite(random->spread()) || random->spread() < 0) {
    return userError(where + ": is drawn from " + std::to_string(random->mean()) + " +- " +
                     std::to_string(random->spread()) + "; finite numbers are expected");
  }
  return Status::success();
}

}  // namespace

Status verifyWeights(const fb::Plan& plan, const std::string& name) {
  for (const fb::File* file : rows(plan.files())) {
    std::string where = name + ": file " + printable(text(file->path()));
    if (!staysBelow(text(file->path()))) {
      return userError(where + ": must be a path below the checkpoint's directory");
    }
    DCC_RETURN_IF_ERROR(verifyContents(plan, *file, where));
  }
  uint64_t total_bytes = 0;
  for (const fb::Weight* weight : rows(plan.weights())) {
    std::string where = name + ": weight " + printable(text(weight->module_()));
    DCC_RETURN_IF_ERROR(verifyWeight(plan, *weight, where, total_bytes));
    Rows pieces = rows(weight->pieces());
    const bool encoded = std::any_of(pieces.begin(), pieces.end(),
                                     [](const fb::Piece* piece) { return piece->scales(); });
    if (encoded && !needs(plan, kBlockScaled)) {
      return userError(where + ": is encoded, so the plan must need the feature " +
                       std::string(kBlockScaled));
    }
    if (isView(*weight) && !needs(plan, kWeightViews)) {
      return userError(where + ": is a view, so the plan must need the feature " +
                       std::string(kWeightViews));
    }
  }
  for (const fb::Constant* constant : rows(plan.constants())) {
    for (float value : rows(constant->values())) {
      if (!std::isfinite(value)) {
        return userError(name + ": constant " + printable(text(constant->name())) +
                         ": holds a value that is not finite");
      }
    }
  }
  return Status::success();
}

}  // namespace dcc::plan
