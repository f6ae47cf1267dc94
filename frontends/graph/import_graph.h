// A graph as an nn module: whole shapes, nothing cut, no weight read.
#pragma once

#include "frontends/graph/model_json.h"
#include "frontends/huggingface/import.h"

namespace dcc::graph {

// The graph of `file`, which has one; its weights are in options.directory unless there is a
// dummy_seed, which gives weights of type `options.compute`. Errors (user) begin with
// "<path>:<line>: <key>: ": readGraph's, shapes that don't fit, tensors that are missing or that no
// op reads.
Result<mlir::OwningOpRef<mlir::ModuleOp>> importGraph(mlir::MLIRContext& context,
                                                      const ModelJson& file,
                                                      const huggingface::ImportOptions& options);

}  // namespace dcc::graph
