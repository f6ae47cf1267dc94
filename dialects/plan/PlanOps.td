#ifndef DCC_DIALECTS_PLAN_OPS
#define DCC_DIALECTS_PLAN_OPS

include "dialects/plan/PlanBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"

class Plan_Op<string mnemonic, list<Trait> traits = []> : Op<Plan_Dialect, mnemonic, traits>;

def Plan_WeightOp : Plan_Op<"weight", [Symbol]> {
  let summary = "A weight as the ranks of this program hold it";
  let description = [{
    `slices`, one per rank of the program, are filled in by `specialize`; until then `whole` (its type
    before the cut) and `sources` say where it comes from.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type,
                       OptionalAttr<TypeAttr>:$whole, OptionalAttr<F32Attr>:$plus,
                       OptionalAttr<TypedArrayAttrBase<NN_SourceAttr, "sources">>:$sources,
                       OptionalAttr<TypedArrayAttrBase<Plan_SliceAttr, "slices">>:$slices);
  let assemblyFormat = [{
    $sym_name `:` $type (`of` $whole^)? (`plus` $plus^)? (`from` $sources^)? (`slices` $slices^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Plan_ConstantOp : Plan_Op<"constant", [Symbol]> {
  let summary = "A vector of f32";
  let arguments = (ins SymbolNameAttr:$sym_name, DenseF32ArrayAttr:$values);
  let assemblyFormat = "$sym_name custom<Floats>($values) attr-dict";
}

def Plan_PageGroupOp : Plan_Op<"page_group", [Symbol]> {
  let summary = "Layers that share page tables, and the layout of their pages";
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$tokens_per_page, I64Attr:$pages,
                       I64Attr:$bytes_per_page, I64Attr:$window);
  let assemblyFormat = [{
    $sym_name `:` $pages `pages` `of` $tokens_per_page `tokens` `,` $bytes_per_page `bytes` `window`
    $window attr-dict
  }];
}

def Plan_CacheOp : Plan_Op<"cache", [Symbol]> {
  let summary = "One layer's keys and values inside a page";
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$group, I64Attr:$heads,
                       I64Attr:$k_dim, I64Attr:$v_dim, TypeAttr:$dtype, I64Attr:$k_offset,
                       I64Attr:$v_offset);
  let assemblyFormat = [{
    $sym_name `in` $group `:` $heads `heads` `of` $k_dim `+` $v_dim `x` $dtype `at` $k_offset `,`
    $v_offset attr-dict
  }];
}

def Plan_EntryOp : Plan_Op<"entry", [Symbol, NoTerminator, SingleBlock, NoRegionArguments]> {
  let summary = "One way to run the model: prefill, decode, logits, encode";
  let description = [{
    `bounds` are the largest values of the step variables; `arena` the bytes its buffers need, known
    after `allocate`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DictionaryAttr:$bounds, OptionalAttr<I64Attr>:$arena);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `bounds` $bounds (`arena` $arena^)? attr-dict-with-keyword $body";
}

// ---- buffers -----------------------------------------------------------------------------------

def Plan_InputOp : Plan_Op<"input"> {
  let summary = "A step input: tokens, positions, types";
  let arguments = (ins StrAttr:$name);
  let results = (outs Plan_BufferType:$buffer);
  let assemblyFormat = "$name attr-dict `:` type($buffer)";
  let hasVerifier = 1;
}

def Plan_AllocOp : Plan_Op<"alloc"> {
  let summary = "A buffer in the arena";
  let arguments = (ins OptionalAttr<I64Attr>:$offset);
  let results = (outs Plan_BufferType:$buffer);
  let assemblyFormat = "(`at` $offset^)? attr-dict `:` type($buffer)";
}

def Plan_ViewOp : Plan_Op<"view"> {
  let summary = "Columns of another buffer";
  let arguments = (ins Plan_BufferType:$base, I64Attr:$column);
  let results = (outs Plan_BufferType:$buffer);
  let assemblyFormat = "$base `from` `column` $column attr-dict `:` type($base) `->` type($buffer)";
  let hasVerifier = 1;
}

// ---- instructions ------------------------------------------------------------------------------

def Plan_GemmOp : Plan_Op<"gemm"> {
  let summary = "out = a times the transpose of a weight, plus a bias";
  let arguments = (ins Plan_BufferType:$a, FlatSymbolRefAttr:$weight,
                       OptionalAttr<FlatSymbolRefAttr>:$bias, OptionalAttr<NN_PartsAttr>:$chunks,
                       Plan_BufferType:$out);
  let assemblyFormat = [{
    $a `,` $weight (`bias` $bias^)? (`chunks` $chunks^)? `into` $out attr-dict
    `:` type($a) `into` type($out)
  }];
}

def Plan_KernelOp : Plan_Op<"kernel", [AttrSizedOperandSegments]> {
  let summary = "A kernel of runtime/plan/kernels.h";
  let description = [{
    `plan.kernel "rms_norm" (%x) (@w) into (%y) {eps = 1.0e-5}`: buffers read, then weights, caches and
    constants, then buffers written, each in the order of the kernel's table; attributes by name.
  }];
  let arguments = (ins StrAttr:$kind, Variadic<Plan_BufferType>:$inputs,
                       FlatSymbolRefArrayAttr:$symbols,
                       Variadic<Plan_BufferType>:$outputs,
                       OptionalAttr<TypedArrayAttrBase<DenseI64ArrayAttr, "ranges">>:$ranges);
  let assemblyFormat = [{
    $kind `(` $inputs `)` $symbols `into` `(` $outputs `)` (`ranges` $ranges^)? attr-dict
    `:` functional-type($inputs, $outputs)
  }];
  let hasVerifier = 1;
}

def Plan_CollectiveOp : Plan_Op<"collective"> {
  let summary = "A collective over one axis";
  let description = [{
    `in tree`: sums are added as a balanced tree over the ranks, otherwise in rank order.
  }];
  let arguments = (ins StrAttr:$kind, StrAttr:$axis, Plan_BufferType:$input, Plan_BufferType:$output,
                       Optional<Plan_BufferType>:$gates, I64Attr:$dimension,
                       OptionalAttr<DenseI64ArrayAttr>:$experts,
                       OptionalAttr<DenseI64ArrayAttr>:$counts, UnitAttr:$tree, StrAttr:$because);
  let assemblyFormat = [{
    $kind `over` $axis $input `into` $output `dimension` $dimension
    (`for` $gates^ `:` type($gates) `experts` $experts)? (`counts` $counts^)? (`in` `tree` $tree^)?
    `because` $because attr-dict `:` type($input) `into` type($output)
  }];
  let hasVerifier = 1;
}

def Plan_OutputOp : Plan_Op<"output"> {
  let summary = "A result of the entry";
  let description = [{
    `axis`, `ranges`: its columns are cut over that axis; per coordinate [begin, end) of `columns`.
  }];
  let arguments = (ins StrAttr:$name, Plan_BufferType:$buffer, I64Attr:$columns,
                       OptionalAttr<StrAttr>:$axis, OptionalAttr<DenseI64ArrayAttr>:$ranges);
  let assemblyFormat = [{
    $name $buffer `of` $columns `columns` (`over` $axis^)? (`ranges` $ranges^)? attr-dict
    `:` type($buffer)
  }];
}

#endif
