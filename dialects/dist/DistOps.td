#ifndef DCC_DIALECTS_DIST_OPS
#define DCC_DIALECTS_DIST_OPS

include "dialects/nn/NNBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Dist_Op<string mnemonic, list<Trait> traits = []> : Op<Dist_Dialect, mnemonic, traits>;

def Dist_ReshardOp : Dist_Op<"reshard", [Pure]> {
  let summary = "The same value in another placement";
  let description = [{
    `dist.reshard %y to [_, _] because "..."`: asked for by a strategy or by the first op that can't
    work on a partial sum. The pass `collectives` turns it into the collective that does it. `from`:
    where `shard` must find the operand; `<[_, _]>` is whole on every rank.
  }];
  // Without a placement: whole on every rank.
  let arguments = (ins NN_TensorType:$x, OptionalAttr<Dist_PlacementAttr>:$from,
                       OptionalAttr<Dist_PlacementAttr>:$to, StrAttr:$because);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x (`from` $from^)? (`to` $to^)? `because` $because attr-dict `:` type($x) `->` type($result)
  }];
}

// A collective over one axis; every rank of the group along it takes part.
class Dist_Collective<string mnemonic> : Dist_Op<mnemonic, [Pure]> {
  let results = (outs NN_TensorType:$result);
  let hasVerifier = 1;
}

def Dist_AllReduceOp : Dist_Collective<"all_reduce"> {
  let summary = "Sum over the ranks of an axis, whole on each of them";
  let arguments = (ins NN_TensorType:$x, StrAttr:$axis, StrAttr:$because);
  let assemblyFormat = [{
    $x `over` $axis `because` $because attr-dict `:` type($x) `->` type($result)
  }];
}

// One of a dimension that is cut.
class Dist_CutCollective<string mnemonic> : Dist_Collective<mnemonic> {
  let arguments = (ins NN_TensorType:$x, Optional<NN_TensorType>:$gates, I64Attr:$dimension,
                       StrAttr:$axis, OptionalAttr<DenseI64ArrayAttr>:$experts,
                       OptionalAttr<DenseI64ArrayAttr>:$counts, StrAttr:$because);
  let assemblyFormat = [{
    $x `dimension` $dimension `over` $axis (`for` $gates^ `:` type($gates) `experts` $experts)?
    (`counts` $counts^)? `because` $because attr-dict `:` type($x) `->` type($result)
  }];
  let builders = [OpBuilder<
      (ins "::mlir::Type":$result, "::mlir::Value":$x, "int64_t":$dimension,
           "::llvm::StringRef":$axis, "::mlir::DenseI64ArrayAttr":$counts,
           "::llvm::StringRef":$because),
      [{ build($_builder, $_state, result, x, {}, dimension, axis, {}, counts, because); }]>];
}

def Dist_AllGatherOp : Dist_CutCollective<"all_gather"> {
  let summary = "The parts of a cut dimension, joined on every rank";
  let description = [{
    After `localize`, `counts` says how much of the dimension each coordinate contributes; of tokens
    as evenly as it goes.

    `for %gates experts [0, 4, 4, 8]`: of the tokens, which are cut, a coordinate gets only those that
    its experts (columns begin to end of the gates, for each coordinate) are asked for, and zeros for
    the others: the dispatch of an all-to-all exchange. Nothing but `nn.experts` may read that.
  }];
}

def Dist_ReduceScatterOp : Dist_CutCollective<"reduce_scatter"> {
  let summary = "Sum over the ranks of an axis, of which each keeps its part";
  let description = [{
    `for %gates experts [...]`, as with `all_gather`: for each token only the ranks send whose experts
    it is for, the others' parts being zeros; the combination of an all-to-all exchange.
  }];
}

def Dist_SliceOp : Dist_Op<"slice", [Pure]> {
  let summary = "A rank's own part of a value that every rank holds whole";
  let description = [{
    Moves nothing between ranks. After `localize`, `ranges` holds the index ranges of every
    coordinate; tokens have none, they are cut as evenly as it goes.
  }];
  let arguments = (ins NN_TensorType:$x, I64Attr:$dimension, StrAttr:$axis,
                       OptionalAttr<TypedArrayAttrBase<DenseI64ArrayAttr, "ranges">>:$ranges,
                       StrAttr:$because);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `dimension` $dimension `over` $axis (`ranges` $ranges^)? `because` $because attr-dict
    `:` type($x) `->` type($result)
  }];
}

def Dist_ProgramOp : Dist_Op<"program", [Symbol, SymbolTable, NoTerminator, SingleBlock,
                                        NoRegionArguments]> {
  let summary = "The program of the ranks whose local shapes are equal";
  let description = [{
    Made by `localize`: `dist.program @program_0 ranks [0, 1] { ... }` holds their weights, caches and
    entries in local shapes.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseI64ArrayAttr:$ranks);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `ranks` $ranks attr-dict-with-keyword $body";
}

#endif
