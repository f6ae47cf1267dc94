// The compiler's passes, in the order of the pipeline. Each is one .cpp of the same name.
#ifndef DCC_PASSES
#define DCC_PASSES

include "mlir/Pass/PassBase.td"

def Annotate : Pass<"annotate", "::mlir::ModuleOp"> {
  let summary = "Cut the weights as the tp_plan says";
  let description = [{
    Finds the rule of `nn.tp_plan` for the module of every op that uses a weight and writes the cut
    into the weight's type; strategies that slice their input or gather their output get a
    `dist.reshard` there. Errors: a rule of the user's that matches nothing; a weight without a rule
    among covered siblings; two uses of a weight that want different cuts; a size that does not divide.
  }];
  let dependentDialects = ["::dcc::dist::DistDialect"];
}

def FixSums : Pass<"fix-sums", "::mlir::ModuleOp"> {
  let summary = "With invariant numerics, sum alike at every degree what a rule cuts";
  let description = [{
    Products over a dimension that the tp_plan cuts are summed in 8 equal parts, `chunks`, whose sums are
    added as a balanced tree; experts keep sums apart by `chunks` of their width or by `groups` of
    experts. A degree whose ranks don't have whole parts, equally many each, is an error.
  }];
}

def Shard : Pass<"shard", "::mlir::ModuleOp"> {
  let summary = "Give every value its placement";
  let description = [{
    One forward pass over every entry, by the ops' factor rules. A partial sum stays one through linear
    ops; before the first other use a `dist.reshard` asks for the sum, with invariant numerics at once.
    Conflicts are errors that name both sources.
  }];
  let options = [Option<"gather", "gather", "bool", "false",
                        "What conflicts is gathered first, with a warning">];
  let dependentDialects = ["::dcc::dist::DistDialect"];
}

def VerifySharding : Pass<"verify-sharding", "::mlir::ModuleOp"> {
  let summary = "Check that every placement follows from the operands'";
  let description = [{
    What `shard` infers must be what the types say, also in IR edited by hand. No partial sum reaches a
    non-linear op, a result or a cache.
  }];
}

def Collectives : Pass<"collectives", "::mlir::ModuleOp"> {
  let summary = "Turn every reshard into the collective that does it";
  let dependentDialects = ["::dcc::dist::DistDialect"];
}

def MergeDuplicates : Pass<"merge-duplicates", "::mlir::ModuleOp"> {
  let summary = "The same collective of the same value is done once";
}

def CancelGathers : Pass<"cancel-gathers", "::mlir::ModuleOp"> {
  let summary = "What is gathered and cut again, or summed whole and then cut, takes the short way";
  let dependentDialects = ["::dcc::dist::DistDialect"];
}

def MergeAllReduces : Pass<"merge-all-reduces", "::mlir::ModuleOp"> {
  let summary = "The sum of two sums over ranks is one sum over ranks";
  let dependentDialects = ["::dcc::dist::DistDialect"];
}

def ResidualByTokens : Pass<"residual-by-tokens", "::mlir::ModuleOp"> {
  let summary = "A residual stream of which parts by tokens are wanted is kept in parts";
  let description = [{
    Every all_reduce that enters it becomes a reduce_scatter, and who needs it whole gets it gathered,
    unless that costs as much as it saves.
  }];
  let options = [Option<"norms", "norms", "bool", "false",
                        "Also where no rule asks: around every norm of a stream">];
  let dependentDialects = ["::dcc::dist::DistDialect"];
}

def ChooseExchange : Pass<"choose-exchange", "::mlir::ModuleOp"> {
  let summary = "Entries in which experts' tokens had better travel alone are marked, by bytes";
  let options = [Option<"always", "always", "bool", "false", "Whatever the bytes">];
}

def ExchangeExperts : Pass<"exchange-experts", "::mlir::ModuleOp"> {
  let summary = "In marked entries only the tokens travel that experts are asked for";
  let dependentDialects = ["::dcc::dist::DistDialect"];
}

def FuseBias : Pass<"fuse-bias", "::mlir::ModuleOp"> {
  let summary = "linear, add_bias -> linear with bias, where no sum over ranks stands between";
}

def FuseGatedActivation : Pass<"fuse-gated-activation", "::mlir::ModuleOp"> {
  let summary = "activation, mul -> gated_activation";
}

def FuseResidualNorm : Pass<"fuse-residual-norm", "::mlir::ModuleOp"> {
  let summary = "add, rms_norm -> add_rms_norm";
}

def FuseLinears : Pass<"fuse-linears", "::mlir::ModuleOp"> {
  let summary = "Linears of one input become one GEMM over stacked weights, and a split";
  let description = [{
    q, k and v projections, gate and up projections. The stacked weight's sources are those of its parts;
    its cut has the ranges of each part, so every rank's rows are stacked alike.
  }];
}

def Localize : Pass<"localize", "::mlir::ModuleOp"> {
  let summary = "Whole shapes become local shapes, once per class of ranks whose shapes are equal";
  let dependentDialects = ["::dcc::dist::DistDialect"];
}

def Schedule : Pass<"schedule", "::mlir::ModuleOp"> {
  let summary = "Layers become kernels on buffers, in order, in place where the input ends there";
  let dependentDialects = ["::dcc::planir::PlanDialect"];
}

def Allocate : Pass<"allocate", "::mlir::ModuleOp"> {
  let summary = "Place the buffers of every entry in one arena";
  let dependentDialects = ["::dcc::planir::PlanDialect"];
}

def Specialize : Pass<"specialize", "::mlir::ModuleOp"> {
  let summary = "Fill in what each rank holds of every weight";
  let dependentDialects = ["::dcc::planir::PlanDialect"];
}

#endif
