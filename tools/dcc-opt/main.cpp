// dcc-opt: runs single passes on IR, for tests and for looking at what a pass does.
#include "compiler/pipeline.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "passes/Passes.h"

int main(int argc, char** argv) {
  mlir::DialectRegistry registry;
  dcc::registerDialects(registry);
  dcc::registerDccPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "dcc passes\n", registry));
}
