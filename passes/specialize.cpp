// specialize: fill in what each rank holds of every weight, as strided pieces of checkpoint
// tensors.
#include "passes/Passes.h"

using namespace mlir;

namespace dcc {
#define GEN_PASS_DEF_SPECIALIZE
#include "passes/Passes.h.inc"

namespace {

// A weight as rows of columns; a vector is one element a row, so that its cut dimension is rows as
// well, and a weight of three dimensions is several matrices, one after the other.
class Slicer {
 public:
  Slicer(planir::WeightOp weight, dist::MeshAttr mesh)
      : weight_(weight),
        whole_(cast<nn::TensorType>(weight.getWhole().value_or(weight.getType()))),
        mesh_(mesh) {}

  planir::SliceAttr slice(int64_t rank) {
    bool vector = whole_.rank() == 1, stacked = whole_.rank() == 3;
    dist::Ranges matrices = stacked ? ranges(0, rank) : dist::Ranges{{0, 1}};
    dist::Ranges rows = ranges(stacked ? 1 : 0, rank);
    dist::Ranges columns = vector ? dist::Ranges{{0, 1}} : ranges(stacked ? 2 : 1, rank);
    int64_t row = 0;
    pieces_.clear();
    for (dist::Range range : matrices) {
      for (int64_t i = range.begin; i < range.end; ++i) {
        addMatrix(stacked ? matrixOf(i) : matricesOf(), rows, columns, row);
        row += dist::sizeOf(rows);
      }
    }
    return planir::SliceAttr::get(weight_.getContext(), rank, rows.front().begin, pieces_);
  }

 private:
  // Where in a file [rows, columns] elements are.
  struct View {
    nn::SourceAttr source;
    int64_t offset;  // elements
    int64_t rows, row_stride, column_stride;
  };

  // A source's strides in elements, as many as it has dimensions.
  static SmallVector<int64_t> stridesOf(nn::SourceAttr source) {
    SmallVector<int64_t> strides(source.getStrides());
    if (!strides.empty()) return strides;
    strides.assign(source.getShape().size(), 1);
    for (size_t i = strides.size() - 1; i > 0; --i) {
      strides[i - 1] = strides[i] * source.getShape()[i];
    }
    return strides;
  }

  // The sources of a matrix or a vector, stacked.
  SmallVector<View> matricesOf() {
    SmallVector<View> views;
    for (auto source : weight_.getSourcesAttr().getAsRange<nn::SourceAttr>()) {
      SmallVector<int64_t> strides = stridesOf(source);
      views.push_back(
          {source, 0, source.getShape()[0], strides[0], strides.size() > 1 ? strides[1] : 1});
    }
    return views;
  }

  // The source of matrix i.
  SmallVector<View> matrixOf(int64_t i) {
    for (auto source : weight_.getSourcesAttr().getAsRange<nn::SourceAttr>()) {
      SmallVector<int64_t> strides = stridesOf(source);
      size_t last = strides.size() - 1;
      int64_t matrices = last == 2 ? source.getShape()[0] : 1;
      if (i < matrices) {
        return {{source, last == 2 ? i * strides[0] : 0, source.getShape()[last - 1],
                 strides[last - 1], strides[last]}};
      }
      i -= matrices;
    }
    return {};
  }

  // The pieces of one matrix, whose sources are stacked, from row `row` of the weight on.
  void addMatrix(ArrayRef<View> views, const dist::Ranges& rows, const dist::Ranges& columns,
                 int64_t row) {
    int64_t width = dist::sizeOf(columns);
    for (dist::Range range : rows) {
      int64_t top = 0;  // first row of the source in the weight
      for (const View& view : views) {
        int64_t bottom = top + view.rows;
        dist::Range part{std::max(range.begin, top), std::min(range.end, bottom)};
        int64_t column = 0;
        for (dist::Range c : columns) {
          if (part.size() > 0) {
            int64_t dest = (row + part.begin - range.begin) * width + column;
            pieces_.push_back(piece(view, part.begin - top, part.size(), c, dest, width));
          }
          column += c.size();
        }
        top = bottom;
      }
      row += range.size();
    }
  }

  dist::Ranges ranges(size_t dimension, int64_t rank) {
    dist::CutAttr cut = whole_.cut(dimension);
    int64_t size = whole_.constant(dimension);
    if (!cut.isCut()) return {{0, size}};
    return dist::rangesOf(cut, size,
                          *mesh_.sizeOf(cut.getAxis()))[mesh_.coordinate(rank, cut.getAxis())];
  }

  planir::PieceAttr piece(const View& view, int64_t row, int64_t rows, dist::Range columns,
                          int64_t dest, int64_t width) {
    nn::SourceAttr source = view.source;
    int64_t bytes = source.getType().getIntOrFloatBitWidth() / 8;
    int64_t first = view.offset + row * view.row_stride + columns.begin * view.column_stride;
    nn::EncodingAttr encoding = source.getEncoding();
    int64_t offset = source.getOffset() + (encoding ? 0 : first * bytes);
    if (encoding) {
      encoding = nn::EncodingAttr::get(weight_.getContext(), encoding.getKind(),
                                       encoding.getFirst() + first, encoding.getColumns(),
                                       encoding.getBlockRows(), encoding.getBlockColumns(),
                                       encoding.getFile(), encoding.getOffset());
    }
    int64_t run = columns.size(), count = rows;
    int64_t stride = view.row_stride, destStride = width;
    int64_t step = view.column_stride, destStep = 1;
    if (view.row_stride < view.column_stride && run > 1) {
      // Columns follow each other in the file: a run is a column.
      std::swap(run, count);
      std::swap(stride, step);
      std::swap(destStride, destStep);
    } else if (!encoding && step == 1 && run == stride && run == destStride) {  // one run
      run *= count;
      count = 1;
      stride = destStride = run;
    }
    return planir::PieceAttr::get(weight_.getContext(), source.getTensor(), source.getFile(),
                                  offset, source.getType(), count, run, stride, dest, destStride,
                                  step, destStep, encoding);
  }

  planir::WeightOp weight_;
  nn::TensorType whole_;
  dist::MeshAttr mesh_;
  SmallVector<planir::PieceAttr> pieces_;
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
