#include "dialects/nn/Local.h"

using namespace mlir;

namespace dcc::nn {

LogicalResult verifyLocal(Operation* op, TensorType local, TensorType whole) {
  auto program = op->getParentOfType<dist::ProgramOp>();
  if (!program) return success();
  dist::MeshAttr mesh = dist::meshOf(op);
  auto refuse = [&](int64_t rank) {
    return op->emitOpError() << "is " << local << ", which is not what rank " << rank
                             << " holds of " << whole;
  };
  if (local.rank() != whole.rank() || local.getPlacement())
    return refuse(program.getRanks().front());
  for (size_t i = 0; i < whole.rank(); ++i) {
    dist::CutAttr cut = whole.cut(i);
    if (std::string wrong = dist::checkCut(cut, whole.size(i), mesh); !wrong.empty()) {
      return op->emitOpError() << "is cut wrongly: " << wrong;
    }
    for (int64_t rank : program.getRanks()) {
      if (rank < 0 || rank >= mesh.worldSize()) {
        return op->emitOpError() << "is held by rank " << rank << ", which the mesh does not have";
      }
      int64_t size = whole.constant(i);
      if (cut.isCut()) {
        int64_t ranks = *mesh.sizeOf(cut.getAxis());
        size = dist::sizeOf(dist::rangesOf(cut, size, ranks)[mesh.coordinate(rank, cut.getAxis())]);
      }
      if (local.size(i) != size) return refuse(rank);
    }
  }
  return success();
}

}  // namespace dcc::nn
