// plan: what one rank executes, one op per row of a table of runtime/plan/plan.fbs.
#ifndef DCC_DIALECTS_PLAN_BASE
#define DCC_DIALECTS_PLAN_BASE

include "dialects/nn/NNBase.td"

def Plan_Dialect : Dialect {
  let name = "plan";
  let cppNamespace = "::dcc::planir";
  let summary = "Buffers, kernels, GEMMs and collectives: 1:1 with the plan file";
  let dependentDialects = ["::dcc::nn::NNDialect"];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

def Plan_BufferType : TypeDef<Plan_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "A matrix in memory";
  let description = [{
    `!plan.buffer<T x 96 x f32>`; rows further apart than their columns (a view):
    `!plan.buffer<T x 32 x f32, 96>`.
  }];
  // rows: IntegerAttr (i64) or StringAttr.
  let parameters = (ins "::mlir::Attribute":$rows, "int64_t":$cols, "::mlir::Type":$elementType,
                        "int64_t":$stride);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Plan_PieceAttr : AttrDef<Plan_Dialect, "Piece"> {
  let mnemonic = "piece";
  let summary = "A strided part of a checkpoint tensor and its place in the weight";
  let description = [{
    `#plan.piece<"name" in 0 at 4096 : bf16, 256 x 128 every 256 to 0 every 128>`: 256 runs of 128
    elements, 256 apart, from byte 4096 of file 0, go to element 0 and on, 128 apart. With `step 2 to 64`
    the elements of a run are 2 apart in the file and 64 apart in the weight.
  }];
  let parameters = (ins "::mlir::StringAttr":$tensor, "int64_t":$file, "int64_t":$offset,
                        "::mlir::Type":$type, "int64_t":$count, "int64_t":$run, "int64_t":$stride,
                        "int64_t":$dest, "int64_t":$destStride, DefaultValuedParameter<"int64_t", "1">:$step,
                        DefaultValuedParameter<"int64_t", "1">:$destStep,
                        OptionalParameter<"::dcc::nn::EncodingAttr">:$encoding);
  let assemblyFormat = [{
    `<` $tensor `in` $file `at` $offset `:` $type `,` $count `runs` `of` $run `every` $stride `to`
    $dest `every` $destStride (`step` $step^ `to` $destStep)? (`encoded` $encoding^)? `>`
  }];
}

def Plan_SliceAttr : AttrDef<Plan_Dialect, "Slice"> {
  let mnemonic = "slice";
  let summary = "What one rank holds of a weight: its first row in the whole, and its pieces";
  let parameters = (ins "int64_t":$rank, "int64_t":$origin,
                        ArrayRefParameter<"::dcc::planir::PieceAttr">:$pieces);
  let assemblyFormat = "`<` `rank` $rank `from` `row` $origin `=` `[` $pieces `]` `>`";
}

#endif
