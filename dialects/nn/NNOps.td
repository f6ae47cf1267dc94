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
    that several ranks may hold the same head (KV heads); `plus 1.0` that so much is added to every
    element once it is read (norms that are stored as their distance from one). Experts' weights have
    three dimensions, [experts, out, in]. After `localize` the type is what one rank
    holds and `of` the whole it is cut from.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<NN_TensorType>:$type,
                       OptionalAttr<TypeAttrOf<NN_TensorType>>:$whole,
                       OptionalAttr<I64Attr>:$heads, UnitAttr:$shared, OptionalAttr<F32Attr>:$plus,
                       TypedArrayAttrBase<NN_SourceAttr, "sources">:$sources,
                       OptionalAttr<StrAttr>:$rule);
  let assemblyFormat = [{
    $sym_name `:` $type (`of` $whole^)? (`heads` $heads^)? (`shared` $shared^)? (`plus` $plus^)?
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
    computed at run time, with `beyond 4096 [...]` those longer than 4096 positions the others given.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DenseF32ArrayAttr:$values, F32Attr:$scale,
                       OptionalAttr<DenseF64ArrayAttr>:$dynamic, OptionalAttr<I64Attr>:$original,
                       OptionalAttr<DenseF32ArrayAttr>:$beyond);
  let assemblyFormat = [{
    $sym_name custom<Floats>($values) `scale` $scale (`dynamic` $dynamic^)?
    (`beyond` $original^ custom<Floats>($beyond))? attr-dict
  }];
  let hasVerifier = 1;
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
  let details = [{
    With `chunks n` the sums over n equal parts of k are added as a balanced tree (`fix-sums`).
  }];
  let arguments = (ins NN_TensorType:$x, FlatSymbolRefAttr:$weight,
                       OptionalAttr<FlatSymbolRefAttr>:$bias, OptionalAttr<NN_PartsAttr>:$chunks);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $weight (`bias` $bias^)? (`chunks` $chunks^)? attr-dict `:` type($x) `->` type($result)
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
  let summary = "rms_norm of every head, with one weight for all or none";
  let arguments = (ins NN_TensorType:$x, OptionalAttr<FlatSymbolRefAttr>:$weight, I64Attr:$head_dim,
                       F64Attr:$eps);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x (`,` $weight^)? `head_dim` $head_dim `eps` $eps attr-dict `:` type($x) `->` type($result)
  }];
  let weights = [{
    if (!getWeightAttr()) return {};
    return {getWeightAttr()};
  }];
  let factorSizes = "return factor == 'd' ? getHeadDim() : 1;";
}

def NN_LayerNormOp : NN_Layer<"layer_norm", "t d, d, d -> t d ; whole d"> {
  let summary = "(x - mean(x)) / sqrt(variance(x) + eps) times a weight, plus a bias";
  let arguments = (ins NN_TensorType:$x, FlatSymbolRefAttr:$weight,
                       OptionalAttr<FlatSymbolRefAttr>:$bias, F64Attr:$eps);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $weight (`bias` $bias^)? `eps` $eps attr-dict `:` type($x) `->` type($result)
  }];
  let weights = [{
    ::llvm::SmallVector<::mlir::FlatSymbolRefAttr> refs{getWeightAttr()};
    if (getBiasAttr()) refs.push_back(getBiasAttr());
    return refs;
  }];
}

def NN_HeadLayerNormOp : NN_Layer<"head_layer_norm", "t (h d), h d -> t (h d) ; whole d"> {
  let summary = "layer_norm of every head, with a weight [heads, head_dim] and no bias";
  let arguments = (ins NN_TensorType:$x, FlatSymbolRefAttr:$weight, I64Attr:$head_dim, F64Attr:$eps);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $weight `head_dim` $head_dim `eps` $eps attr-dict `:` type($x) `->` type($result)
  }];
  let weights = "return {getWeightAttr()};";
  let factorSizes = "return factor == 'd' ? getHeadDim() : 1;";
}

def NN_RopeOp : NN_Layer<"rope", "t (h d), t -> t (h d) ; whole d"> {
  let summary = "Rotary position embedding of every head, of its columns from `first` on";
  let arguments = (ins NN_TensorType:$x, NN_TensorType:$positions, FlatSymbolRefAttr:$frequencies,
                       I64Attr:$head_dim, OptionalAttr<I64Attr>:$first, UnitAttr:$interleaved);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $positions `,` $frequencies `head_dim` $head_dim (`first` $first^)?
    (`interleaved` $interleaved^)? attr-dict
    `:` type($x) `,` type($positions) `->` type($result)
  }];
  let factorSizes = "return factor == 'd' ? getHeadDim() : 1;";
}

def NN_AttentionOp : NN_Layer<"attention",
    "t (h d), t (g d), t (g e), h -> t (h e) ; whole t d e ; h = g r"> {
  let summary = "Attention: causal over a sequence's cache, or over whole sequences of the step";
  let details = [{
    With a cache k and v are appended to it, and a token sees the tokens up to itself; without one the
    step has whole sequences, whose tokens see each other.

    Scores are `scale` times q k, then with `softcap c` c tanh(score / c). `window w`: a token sees the
    last w tokens; `chunk w`: those of its own stretch of w positions. `sinks`: a score per head that
    takes part in the softmax and has no value. After `localize`, where ranks cut through a group of
    query heads that share a KV head, `pairing` has for every coordinate the first query head's place
    in its group and the size of the groups.
  }];
  let arguments = (ins NN_TensorType:$q, NN_TensorType:$k, NN_TensorType:$v,
                       OptionalAttr<FlatSymbolRefAttr>:$cache,
                       OptionalAttr<FlatSymbolRefAttr>:$sinks,
                       I64Attr:$k_dim, I64Attr:$v_dim, F64Attr:$scale,
                       OptionalAttr<F64Attr>:$softcap, OptionalAttr<I64Attr>:$window,
                       OptionalAttr<I64Attr>:$chunk,
                       OptionalAttr<TypedArrayAttrBase<DenseI64ArrayAttr, "pairs">>:$pairing);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $q `,` $k `,` $v (`,` $cache^)? (`sinks` $sinks^)? `k_dim` $k_dim `v_dim` $v_dim `scale` $scale
    (`softcap` $softcap^)? (`window` $window^)? (`chunk` $chunk^)? (`pairing` $pairing^)?
    attr-dict `:` type($q) `,` type($k) `,` type($v) `->` type($result)
  }];
  let weights = [{
    if (!getSinksAttr()) return {};
    return {getSinksAttr()};
  }];
  let factorSizes = "return factor == 'd' ? getKDim() : factor == 'e' ? getVDim() : 1;";
  let hasVerifier = 1;
}

def NN_SliceHeadsOp : NN_Layer<"slice_heads", "t (h d) -> t (h e) ; whole d e"> {
  let summary = "Columns [first, first + size) of every head";
  let arguments = (ins NN_TensorType:$x, I64Attr:$head_dim, I64Attr:$first, I64Attr:$size);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `head_dim` $head_dim `first` $first `size` $size attr-dict `:` type($x) `->` type($result)
  }];
  let factorSizes = "return factor == 'd' ? getHeadDim() : factor == 'e' ? getSize() : 1;";
  let hasVerifier = 1;
}

def NN_ExtendHeadsOp : NN_Layer<"extend_heads", "t (h d), t e -> t (h f) ; whole d e f"> {
  let summary = "Every head of x, and behind it the columns of y, which all heads share";
  let arguments = (ins NN_TensorType:$x, NN_TensorType:$y, I64Attr:$head_dim);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $y `head_dim` $head_dim attr-dict `:` type($x) `,` type($y) `->` type($result)
  }];
  let factorSizes = [{
    int64_t tail = getY().getType().size(1).value_or(1);
    return factor == 'd' ? getHeadDim() : factor == 'f' ? getHeadDim() + tail : 1;
  }];
}

def NN_TemperatureOp : NN_Layer<"temperature", "t d, t -> t d"> {
  let summary = "x times 1 + scale * log(1 + floor((position + 1) / floor)), row by row";
  let arguments = (ins NN_TensorType:$x, NN_TensorType:$positions, F64Attr:$scale, I64Attr:$floor);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $positions `scale` $scale `floor` $floor attr-dict `:` type($x) `,` type($positions)
    `->` type($result)
  }];
}

// ---- experts -----------------------------------------------------------------------------------

def NN_RouteOp : NN_Layer<"route", "t e, e -> t e ; whole e"> {
  let summary = "How much of each expert a token takes: 0 of all but k";
  let details = [{
    `scores` are softmax or sigmoid of the logits. Chosen are the k experts of the largest score, to
    which `bias` is added for the choice only; with `groups` only among the `live` groups whose `best`
    largest choices have the largest sum. Their scores are the result, divided by their sum with
    `normalize`, times `scale`. Of equals the first is chosen.
  }];
  let arguments = (ins NN_TensorType:$logits, OptionalAttr<FlatSymbolRefAttr>:$bias, I64Attr:$k,
                       StrAttr:$scores, UnitAttr:$normalize, OptionalAttr<F64Attr>:$scale,
                       OptionalAttr<I64Attr>:$groups, OptionalAttr<I64Attr>:$live,
                       OptionalAttr<I64Attr>:$best);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $logits (`bias` $bias^)? `k` $k $scores (`normalize` $normalize^)? (`scale` $scale^)?
    (`groups` $groups^ `live` $live `best` $best)? attr-dict `:` type($logits) `->` type($result)
  }];
  let weights = [{
    if (!getBiasAttr()) return {};
    return {getBiasAttr()};
  }];
  let hasVerifier = 1;
}

def NN_ExpertsOp : NN_Layer<"experts",
    "t d, t e, e i d, e i d, e o i, e i, e i -> t o ; reduce e i ; whole d"> {
  let summary = "The sum over a token's experts of down(f(gate(x)) * up(x)), times its gates";
  let details = [{
    Gates are what `nn.route` gives; an expert whose gate is 0 is not computed. With `scaled_inputs` the
    gate multiplies x instead of the result. With `limit l` gate and up are clamped first (gate to at
    most l, up to -l..l) and f(gate) * up is gate * sigmoid(alpha * gate) * (up + 1). `chunks n`: a sum
    for each of n equal parts of the experts' width, `groups n`: for each of n groups of experts; these
    are added as a balanced tree (`fix-sums`).
  }];
  let arguments = (ins NN_TensorType:$x, NN_TensorType:$gates, FlatSymbolRefAttr:$gate,
                       FlatSymbolRefAttr:$up, FlatSymbolRefAttr:$down,
                       OptionalAttr<FlatSymbolRefAttr>:$gate_bias,
                       OptionalAttr<FlatSymbolRefAttr>:$up_bias, StrAttr:$function,
                       OptionalAttr<F64Attr>:$limit, OptionalAttr<F64Attr>:$alpha,
                       UnitAttr:$scaled_inputs, OptionalAttr<NN_PartsAttr>:$chunks,
                       OptionalAttr<NN_PartsAttr>:$groups);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $function $x `,` $gates `,` $gate `,` $up `,` $down (`bias` $gate_bias^ `,` $up_bias)?
    (`limit` $limit^ `alpha` $alpha)? (`scaled_inputs` $scaled_inputs^)? (`chunks` $chunks^)?
    (`groups` $groups^)? attr-dict
    `:` type($x) `,` type($gates) `->` type($result)
  }];
  let weights = [{
    ::llvm::SmallVector<::mlir::FlatSymbolRefAttr> refs{getGateAttr(), getUpAttr(), getDownAttr()};
    if (getGateBiasAttr()) refs.append({getGateBiasAttr(), getUpBiasAttr()});
    return refs;
  }];
  let hasVerifier = 1;
}

// ---- element by element ------------------------------------------------------------------------

class NN_BinaryOp<string mnemonic, string rule> : NN_Layer<mnemonic, rule> {
  let arguments = (ins NN_TensorType:$x, NN_TensorType:$y);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = "$x `,` $y attr-dict `:` type($x) `,` type($y) `->` type($result)";
}

def NN_AddOp : NN_BinaryOp<"add", "t d, t d -> t d ; linear 0 1"> { let summary = "x + y"; }
def NN_MulOp : NN_BinaryOp<"mul", "t d, t d -> t d"> { let summary = "x * y, element by element"; }

def NN_ScaleOp : NN_Layer<"scale", "t d -> t d ; linear 0"> {
  let summary = "x times a number";
  let arguments = (ins NN_TensorType:$x, F64Attr:$factor);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = "$x `by` $factor attr-dict `:` type($x) `->` type($result)";
}

def NN_ScaleRowsOp : NN_Layer<"scale_rows", "t d, t o -> t d ; whole o ; linear 0"> {
  let summary = "Every row of x times its number";
  let arguments = (ins NN_TensorType:$x, NN_TensorType:$factors);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = [{
    $x `,` $factors attr-dict `:` type($x) `,` type($factors) `->` type($result)
  }];
  let hasVerifier = 1;
}

def NN_SoftCapOp : NN_Layer<"soft_cap", "t d -> t d"> {
  let summary = "c tanh(x / c)";
  let arguments = (ins NN_TensorType:$x, F64Attr:$cap);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = "$x `at` $cap attr-dict `:` type($x) `->` type($result)";
}

def NN_ActivationOp : NN_Layer<"activation", "t d -> t d"> {
  let summary = "A function of every element: silu, gelu, gelu_tanh, relu, sigmoid, tanh, relu2";
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

def NN_PoolOp : NN_Layer<"pool", "t d -> b d ; whole t"> {
  let summary = "One row for each sequence: its first token's, or the mean of its tokens'";
  let arguments = (ins NN_TensorType:$x, StrAttr:$how);
  let results = (outs NN_TensorType:$result);
  let assemblyFormat = "$how $x attr-dict `:` type($x) `->` type($result)";
  let hasVerifier = 1;
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
