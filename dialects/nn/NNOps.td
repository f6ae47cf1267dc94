#ifndef DCC_DIALECTS_NN_OPS
#define DCC_DIALECTS_NN_OPS

include "dialects/nn/NNBase.td"
include "dialects/nn/FactorRule.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class NN_Op<string mnemonic, list<Trait> traits = []> : Op<NN_Dialect, mnemonic, traits>;

// An op on values that shards by its factor rule.
class NN_Layer<string mnemonic, string rule, list<Trait> traits = []>
    : NN_Op<mnemonic, !listconcat(traits, [Pure, NN_FactorRuleInterface, SymbolUserOpInterface])> {
  string factorRule = rule;
  // Bodies of the interface's optional methods.
  code weights = "return {};";
  code factorSizes = "return 1;";
  string details = "";
  let description = !strconcat(details, "\n\nFactor rule: `", rule, "`\n");
  let extraClassDeclaration = !strconcat(
    "static ::llvm::StringRef factorRule() { return \"", rule, "\"; }\n",
    "::llvm::SmallVector<::mlir::FlatSymbolRefAttr> weightRefs() { ", weights, " }\n",
    "int64_t factorSize(char factor) { (void)factor; ", factorSizes, " }\n",
    "::mlir::LogicalResult verifySymbolUses(::mlir::SymbolTableCollection &symbols) {\n",
    "  return ::dcc::nn::verifyFactors(*this, symbols);\n}\n");
}

// ---- symbols -----------------------------------------------------------------------------------

def NN_WeightOp : NN_Op<"weight", [Symbol]> {
  let summary = "A weight of the model";
  let description = [{
    ```mlir
    nn.weight @model.layers.0.self_attn.o_proj.weight : !nn.tensor<256 x 256 x bf16, [_, tp]>
        from [#nn.source<"model.layers.0.self_attn.o_proj.weight" in 0 at 4096 : 256 x 256 x bf16>]
        rule "model.layers.*.self_attn.o_proj = rowwise (auto)"
    ```
    `heads` says that its first dimension runs over that many heads, which are never cut; `shared`
    that several ranks may hold the same head (KV heads). After `localize` the type is what one rank
    holds and `of` the whole it is cut from.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<NN_TensorType>:$type,
                       OptionalAttr<TypeAttrOf<NN_TensorType>>:$whole,
                       OptionalAttr<I64Attr>:$heads, UnitAttr:$shared,
                       TypedArrayAttrBase<NN_SourceAttr, "sources">:$sources,
                       OptionalAttr<StrAttr>:$rule);
  let assemblyFormat = [{
    $sym_name `:` $type (`of` $whole^)? (`heads` $heads^)? (`shared` $shared^)?
    `from` $sources (`rule` $rule^)? attr-dict
  }];
  let hasVerifier = 1;
}

def NN_CacheOp : NN_Op<"cache", [Symbol]> {
  let summary = "Keys and values of one attention layer";
  let description = [{
    `nn.cache @model.layers.0.self_attn.cache : 4 heads of 32 + 32 x f32 in "full"`: KV heads, sizes of
    a key and of a value, element type, and the group of layers that forget alike, which share page
    tables; `window`: how many last tokens are kept, otherwise all.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$heads, I64Attr:$k_dim, I64Attr:$v_dim,
                       TypeAttr:$dtype, StrAttr:$group, OptionalAttr<I64Attr>:$window);
  let assemblyFormat = [{
    $sym_name `:` $heads `heads` `of` $k_dim `+` $v_dim `x` $dtype `in` $group
    (`window` $window^)? attr-dict
  }];
  let hasVerifier = 1;
}

def NN_FrequenciesOp : NN_Op<"frequencies", [Symbol]> {
  let summary = "Rotary frequencies";
  let description = [{
    Radians per position of each rotated pair, and the factor on cosine and sine. With `dynamic`
    (theta, factor, original positions) sequences longer than the original positions use frequencies
    computed at run time.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseF32ArrayAttr:$values, F32Attr:$scale,
                       OptionalAttr<DenseF64ArrayAttr>:$dynamic);
  let assemblyFormat = [{ $sym_name custom<Floats>($values) `scale` $scale (`dynamic` $dynamic^)? attr-dict }];
}

// ---- layers ------------------------------------------------------------------------------------

def NN_EmbeddingOp : NN_Layer<"embedding", "t, v d -> t d ; reduce v"> {
  let summary = "Rows of a table";
  let arguments = (ins NN_TensorType:$tokens, FlatSymbolRefAttr:$weight);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = "$tokens `,` $weight attr-dict `:` type($tokens) `->` type($result)";
  let weights = "return {getWeightAttr()};";
}

def NN_LinearOp : NN_Layer<"linear", "t k, n k, n -> t n ; reduce k ; linear 0"> {
  let summary = "x times the transpose of a weight [n, k], plus a bias [n]";
  let arguments = (ins NN_TensorType:$x, FlatSymbolRefAttr:$weight,
                       OptionalAttr<FlatSymbolRefAttr>:$bias);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $weight (`bias` $bias^)? attr-dict `:` type($x) `->` type($result)
  }];
  let weights = [{
    ::llvm::SmallVector<::mlir::FlatSymbolRefAttr> refs{getWeightAttr()};
    if (getBiasAttr()) refs.push_back(getBiasAttr());
    return refs;
  }];
  let hasVerifier = 1;
}

def NN_AddBiasOp : NN_Layer<"add_bias", "t d, d -> t d"> {
  let summary = "x plus a vector, to every row";
  let arguments = (ins NN_TensorType:$x, FlatSymbolRefAttr:$bias);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = "$x `,` $bias attr-dict `:` type($x) `->` type($result)";
  let weights = "return {getBiasAttr()};";
}

def NN_RmsNormOp : NN_Layer<"rms_norm", "t d, d -> t d ; whole d"> {
  let summary = "x / sqrt(mean(x^2) + eps) times a weight";
  let arguments = (ins NN_TensorType:$x, FlatSymbolRefAttr:$weight, F64Attr:$eps);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = "$x `,` $weight `eps` $eps attr-dict `:` type($x) `->` type($result)";
  let weights = "return {getWeightAttr()};";
}

def NN_AddRmsNormOp : NN_Layer<"add_rms_norm", "t d, t d, d -> t d, t d ; whole d"> {
  let summary = "x + y, and its rms_norm";
  let arguments = (ins NN_TensorType:$x, NN_TensorType:$y, FlatSymbolRefAttr:$weight, F64Attr:$eps);
  let results = (outs NN_TensorType:$sum, NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $y `,` $weight `eps` $eps attr-dict `:` type($x) `,` type($y) `->` type($sum) `,` type($result)
  }];
  let weights = "return {getWeightAttr()};";
}

def NN_HeadNormOp : NN_Layer<"head_norm", "t (h d), d -> t (h d) ; whole d"> {
  let summary = "rms_norm of every head, with one weight for all";
  let arguments = (ins NN_TensorType:$x, FlatSymbolRefAttr:$weight, I64Attr:$head_dim, F64Attr:$eps);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $weight `head_dim` $head_dim `eps` $eps attr-dict `:` type($x) `->` type($result)
  }];
  let weights = "return {getWeightAttr()};";
  let factorSizes = "return factor == 'd' ? getHeadDim() : 1;";
}

def NN_RopeOp : NN_Layer<"rope", "t (h d), t -> t (h d) ; whole d"> {
  let summary = "Rotary position embedding of every head";
  let arguments = (ins NN_TensorType:$x, NN_TensorType:$positions, FlatSymbolRefAttr:$frequencies,
                       I64Attr:$head_dim, UnitAttr:$interleaved);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $positions `,` $frequencies `head_dim` $head_dim (`interleaved` $interleaved^)? attr-dict
    `:` type($x) `,` type($positions) `->` type($result)
  }];
  let factorSizes = "return factor == 'd' ? getHeadDim() : 1;";
}

def NN_AttentionOp : NN_Layer<"attention",
    "t (h d), t (g d), t (g e) -> t (h e) ; whole t d e ; h = g r"> {
  let summary = "Causal attention over a sequence's cache, to which k and v are appended";
  let arguments = (ins NN_TensorType:$q, NN_TensorType:$k, NN_TensorType:$v,
                       FlatSymbolRefAttr:$cache, I64Attr:$k_dim, I64Attr:$v_dim, F64Attr:$scale,
                       OptionalAttr<I64Attr>:$window);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $q `,` $k `,` $v `,` $cache `k_dim` $k_dim `v_dim` $v_dim `scale` $scale (`window` $window^)?
    attr-dict `:` type($q) `,` type($k) `,` type($v) `->` type($result)
  }];
  let factorSizes = "return factor == 'd' ? getKDim() : factor == 'e' ? getVDim() : 1;";
}

class NN_BinaryOp<string mnemonic, string rule> : NN_Layer<mnemonic, rule> {
  let arguments = (ins NN_TensorType:$x, NN_TensorType:$y);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = "$x `,` $y attr-dict `:` type($x) `,` type($y) `->` type($result)";
}

def NN_AddOp : NN_BinaryOp<"add", "t d, t d -> t d ; linear 0 1"> { let summary = "x + y"; }
def NN_MulOp : NN_BinaryOp<"mul", "t d, t d -> t d"> { let summary = "x * y, element by element"; }

def NN_ActivationOp : NN_Layer<"activation", "t d -> t d"> {
  let summary = "A function of every element: silu, gelu, gelu_tanh, relu";
  let arguments = (ins NN_TensorType:$x, StrAttr:$function);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = "$function $x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def NN_GatedActivationOp : NN_Layer<"gated_activation", "t d, t d -> t d"> {
  let summary = "f(gate) * up";
  let arguments = (ins NN_TensorType:$gate, NN_TensorType:$up, StrAttr:$function);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $function $gate `,` $up attr-dict `:` type($gate) `,` type($up) `->` type($result)
  }];
  let hasVerifier = 1;
}

def NN_LastTokenOp : NN_Layer<"last_token", "t d -> b d ; whole t"> {
  let summary = "The row of each sequence's last token";
  let arguments = (ins NN_TensorType:$x);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($result)";
}

def NN_SplitOp : NN_Op<"split", [Pure]> {
  let summary = "Columns of a result, one block after the other";
  let description = [{
    Result i is the i-th block of columns; a view, nothing is moved. The results' placements say which
    part of each block a rank holds. Of a packed weight, or made by `fuse-linears`.
  }];
  let arguments = (ins NN_TensorType:$x);
  let results = (outs Variadic<NN_TensorType>:$parts);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($parts)";
  let hasVerifier = 1;
}

#endif
