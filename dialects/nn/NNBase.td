// nn: the model as its author thinks of it.
#ifndef DCC_DIALECTS_NN_BASE
#define DCC_DIALECTS_NN_BASE

include "dialects/dist/DistBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"

def NN_Dialect : Dialect {
  let name = "nn";
  let cppNamespace = "::dcc::nn";
  let summary = "Neural network layers with named sizes and placements in their types";
  let description = [{
    The location of each is its module path in today's transformers names
    (`model.layers.3.self_attn.q_proj`); tp_plan patterns match it and every error names it.
  }];
  let dependentDialects = ["::dcc::dist::DistDialect"];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

def NN_TensorType : TypeDef<NN_Dialect, "Tensor"> {
  let mnemonic = "tensor";
  let summary = "A tensor with constant or named sizes and a placement";
  let description = [{
    `!nn.tensor<T x 256 x f32>`, `!nn.tensor<256 x 256 x bf16, [_, tp]>`,
    `!nn.tensor<T x 256 x f32, partial tp>`. `T` is the number of tokens of a step, `B` the number of
    its sequences. Without a placement every rank holds the whole value.
  }];
  // IntegerAttr (i64) or StringAttr per dimension.
  let parameters = (ins ArrayRefParameter<"::mlir::Attribute">:$dims, "::mlir::Type":$elementType,
                        DefaultValuedParameter<"::dcc::dist::PlacementAttr",
                                               "::dcc::dist::PlacementAttr()">:$placement);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    size_t rank() const { return getDims().size(); }
    /// Constant size of dimension i, or nothing for a named one.
    std::optional<int64_t> size(size_t i) const;
    /// Constant size of dimension i; the caller knows that it is constant.
    int64_t constant(size_t i) const { return *size(i); }
    dist::CutAttr cut(size_t i) const;
    bool isPartial() const { return getPlacement() && getPlacement().isPartial(); }
    bool isReplicated() const { return !getPlacement(); }
    TensorType withPlacement(dist::PlacementAttr placement) const;
    TensorType withDims(::llvm::ArrayRef<::mlir::Attribute> dims) const;
    /// The same with dimension i of constant size n.
    TensorType withSize(size_t i, int64_t n) const;
    static TensorType get(::mlir::MLIRContext* context, ::llvm::ArrayRef<::mlir::Attribute> dims,
                          ::mlir::Type elementType);
  }];
}

def NN_EncodingAttr : AttrDef<NN_Dialect, "Encoding"> {
  let mnemonic = "encoding";
  let summary = "Elements in few bits, whose blocks share a scale";
  let description = [{
    `#nn.encoding<"mxfp4" element 64 of rows of 128, 1 by 32 blocks with scales in 0 at 4096>`: the index
    of the first element in its tensor, the tensor's columns, the sizes of a block, and the file and
    byte offset of the scales (runtime/weights/block_scaled.h).
  }];
  let parameters = (ins "::mlir::StringAttr":$kind, "int64_t":$first, "int64_t":$columns,
                        "int64_t":$blockRows, "int64_t":$blockColumns, "int64_t":$file,
                        "int64_t":$offset);
  let assemblyFormat = [{
    `<` $kind `element` $first `of` `rows` `of` $columns `,` $blockRows `by` $blockColumns `blocks`
    `with` `scales` `in` $file `at` $offset `>`
  }];
}

def NN_SourceAttr : AttrDef<NN_Dialect, "Source"> {
  let mnemonic = "source";
  let summary = "A tensor of the checkpoint";
  let description = [{
    `#nn.source<"model.norm.weight" in 0 at 1024 : 1 x 256 x bf16>`: name, index into `nn.files`,
    byte offset in that file, shape and type. With `strides [4096, 1, 128]`, in elements, it is a view
    of what is stored: transposed, or every other row. What is `encoded` becomes bf16; the offset is
    then where its tensor begins. A weight's sources are stacked along its first
    dimension; of a weight of three dimensions they may be its matrices.
  }];
  let parameters = (ins "::mlir::StringAttr":$tensor, "int64_t":$file, "int64_t":$offset,
                        ArrayRefParameter<"int64_t">:$shape, "::mlir::Type":$type,
                        OptionalArrayRefParameter<"int64_t">:$strides,
                        OptionalParameter<"::dcc::nn::EncodingAttr">:$encoding);
  let hasCustomAssemblyFormat = 1;
}

def NN_FileAttr : AttrDef<NN_Dialect, "File"> {
  let mnemonic = "file";
  let summary = "A file of the checkpoint, known by its size and the hash of its header";
  let parameters = (ins "::mlir::StringAttr":$path, "int64_t":$bytes, "::mlir::StringAttr":$hash);
  let assemblyFormat = "`<` $path `,` $bytes `bytes` `,` $hash `>`";
}

def NN_RandomAttr : AttrDef<NN_Dialect, "Random"> {
  let mnemonic = "random";
  let summary = "A file that nobody has: numbers drawn by a seed, evenly from mean - spread to mean + spread";
  let description = [{
    `#nn.random<"dummy weights", 4096 bytes, seed 7 mean 0.0 spread 0.03125>` stands in `nn.files` for a
    file of the checkpoint. An element is the same number whoever asks for it, so that every cut of a
    weight agrees.
  }];
  let parameters = (ins "::mlir::StringAttr":$path, "int64_t":$bytes, "uint64_t":$seed,
                        "::mlir::FloatAttr":$mean, "::mlir::FloatAttr":$spread);
  let assemblyFormat = [{
    `<` $path `,` $bytes `bytes` `,` `seed` $seed `mean` custom<Float>($mean)
    `spread` custom<Float>($spread) `>`
  }];
}

def NN_StrategyAttr : AttrDef<NN_Dialect, "Strategy"> {
  let mnemonic = "strategy";
  let summary = "A strategy that the tp_plan declares itself";
  let description = [{
    `#nn.strategy<"mine" weight 0 bias 0 packed 0 arrives "whole" input "whole" output "features">` in `nn.strategies`: the dimension that is cut of matrices and of vectors (-1:
    none), and where the module's input and output lie: any, whole, features, tokens.
  }];
  let parameters = (ins "::mlir::StringAttr":$name, "int64_t":$weight, "int64_t":$bias,
                        "int64_t":$packed, "::mlir::StringAttr":$arrives, "::mlir::StringAttr":$input,
                        "::mlir::StringAttr":$output);
  let assemblyFormat = [{
    `<` $name `weight` $weight `bias` $bias `packed` $packed `arrives` $arrives `input` $input
    `output` $output `>`
  }];
}

def NN_RuleAttr : AttrDef<NN_Dialect, "Rule"> {
  let mnemonic = "rule";
  let summary = "A rule of the tp_plan in force";
  let description = [{
    `#nn.rule<"model.layers.*.mlp.up_proj" = "colwise" from "auto">`: pattern, strategy, and where it
    was said: `auto` (the family's own plan) or a file and line or an option.
  }];
  let parameters = (ins "::mlir::StringAttr":$pattern, "::mlir::StringAttr":$strategy,
                        "::mlir::StringAttr":$origin);
  let assemblyFormat = "`<` $pattern `=` $strategy `from` $origin `>`";
}

// How many parts of a sum are added as a balanced tree.
def NN_PartsAttr : ConfinedAttr<I64Attr, [IntMinValue<1>, IntMaxValue<8>]>;

#endif
