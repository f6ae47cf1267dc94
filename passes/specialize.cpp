// specialize: fill in what each rank holds of every weight, as strided pieces of checkpoint
// tensors.
#include "passes/Passes.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_SPECIALIZE
#include "passes/Passes.h.inc"

namespace {

// A weight as rows of `columns` elements; a vector is one element a row, so that its cut dimension
// is rows as well.
class Slicer {
 public:
  Slicer(planir::WeightOp weight, dist::MeshAttr mesh)
      : weight_(weight),
        whole_(cast<nn::TensorType>(weight.getWhole().value_or(weight.getType()))),
        mesh_(mesh),
        columns_(whole_.rank() == 1 ? 1 : whole_.constant(1)) {}

  planir::SliceAttr slice(int64_t rank) {
    dist::Ranges rows = ranges(0, rank);
    dist::Ranges columns = whole_.rank() == 1 ? dist::Ranges{{0, 1}} : ranges(1, rank);
    int64_t width = dist::sizeOf(columns);
    int64_t row = 0;
    SmallVector<planir::PieceAttr> pieces;
    for (dist::Range range : rows) {
      int64_t top = 0;  // first row of the source in the weight
      for (auto source : weight_.getSourcesAttr().getAsRange<nn::SourceAttr>()) {
        int64_t bottom = top + source.getShape()[0];
        dist::Range part{std::max(range.begin, top), std::min(range.end, bottom)};
        int64_t column = 0;
        for (dist::Range c : columns) {
          if (part.size() > 0) {
            int64_t dest = (row + part.begin - range.begin) * width + column;
            pieces.push_back(piece(source, part.begin - top, part.size(), c, dest, width));
          }
          column += c.size();
        }
        top = bottom;
      }
      row += range.size();
    }
    return planir::SliceAttr::get(weight_.getContext(), rank, rows.front().begin, pieces);
  }

 private:
  dist::Ranges ranges(size_t dimension, int64_t rank) {
    dist::CutAttr cut = whole_.cut(dimension);
    int64_t size = whole_.constant(dimension);
    if (!cut.isCut()) return {{0, size}};
    return dist::rangesOf(cut, size,
                          *mesh_.sizeOf(cut.getAxis()))[mesh_.coordinate(rank, cut.getAxis())];
  }

  planir::PieceAttr piece(nn::SourceAttr source, int64_t row, int64_t rows, dist::Range columns,
                          int64_t dest, int64_t width) {
    int64_t bytes = source.getType().getIntOrFloatBitWidth() / 8;
    int64_t offset = source.getOffset() + (row * columns_ + columns.begin) * bytes;
    int64_t run = columns.size(), count = rows, stride = columns_, destStride = width;
    if (run == stride && run == destStride) {  // whole rows: one run
      run *= count;
      count = 1;
      stride = destStride = run;
    }
    return planir::PieceAttr::get(weight_.getContext(), source.getTensor(), source.getFile(),
                                  offset, source.getType(), count, run, stride, dest, destStride);
  }

  planir::WeightOp weight_;
  nn::TensorType whole_;
  dist::MeshAttr mesh_;
  int64_t columns_;
};

struct Specialize : impl::SpecializeBase<Specialize> {
  void runOnOperation() override {
    dist::MeshAttr mesh = dist::meshOf(getOperation());
    for (auto program : getOperation().getOps<dist::ProgramOp>()) {
      for (auto weight : program.getBody().front().getOps<planir::WeightOp>()) {
        if (!weight.getSources()) {
          weight.emitError() << "has no sources to be cut from";
          return signalPassFailure();
        }
        Slicer slicer(weight, mesh);
        SmallVector<Attribute> slices;
        for (int64_t rank : program.getRanks()) slices.push_back(slicer.slice(rank));
        weight.setSlicesAttr(ArrayAttr::get(&getContext(), slices));
        weight.removeSourcesAttr();
      }
    }
  }
};

}  // namespace
}  // namespace dcc
