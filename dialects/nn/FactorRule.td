// How an op takes part in sharding, as one line of text.
#ifndef DCC_DIALECTS_NN_FACTOR_RULE
#define DCC_DIALECTS_NN_FACTOR_RULE

include "mlir/IR/OpBase.td"

def NN_FactorRuleInterface : OpInterface<"FactorRuleInterface"> {
  let cppNamespace = "::dcc::nn";
  let description = [{
    A rule names the factors that the dimensions of operands and results consist of:

        "t k, n k -> t n ; reduce k ; linear 0"             linear
        "t (h d), t (g d), t (g e) -> t (h e) ; whole t d e ; h = g r"   attention

    Operands are the op's values in order, then its weights. `(h d)` is a dimension that runs over h
    blocks of d. Clauses: `reduce k`: summed over, so a cut of k gives a partial sum; `whole d`: must
    not be cut; `h = g r`: a cut of h needs the cut of g that covers it; `linear 0 1`: the result is a
    linear function of these operands together, so partial sums of all of them pass through.
    The sizes of inner factors come from `factorSize`.
  }];
  let methods = [
    StaticInterfaceMethod<"The rule.", "::llvm::StringRef", "factorRule">,
    InterfaceMethod<"The weights, in the rule's order after the values.",
      "::llvm::SmallVector<::mlir::FlatSymbolRefAttr>", "weightRefs", (ins),
      /*methodBody=*/"", /*defaultImplementation=*/"return {};">,
    InterfaceMethod<"Size of an inner factor of a composite dimension.",
      "int64_t", "factorSize", (ins "char":$factor),
      /*methodBody=*/"", /*defaultImplementation=*/"return 1;">,
  ];
}

#endif
