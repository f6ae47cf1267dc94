// dist: the mesh, placements, and collectives.
#ifndef DCC_DIALECTS_DIST_BASE
#define DCC_DIALECTS_DIST_BASE

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"

def Dist_Dialect : Dialect {
  let name = "dist";
  let cppNamespace = "::dcc::dist";
  let summary = "Meshes of ranks, placements of values on them, and collectives";
  let description = [{
    A module carries its mesh as the attribute `dist.mesh`. A value's type carries its placement.
    Collectives name an axis of the mesh, never a list of ranks.
  }];
  let useDefaultAttributePrinterParser = 1;
}

class Dist_Attr<string cppName, string attrMnemonic> : AttrDef<Dist_Dialect, cppName> {
  let mnemonic = attrMnemonic;
}

def Dist_MeshAttr : Dist_Attr<"Mesh", "mesh"> {
  let summary = "Named axes and their sizes";
  let description = [{
    `#dist.mesh<dp = 2, tp = 4>`: eight ranks. A rank's number is the row-major index of its
    coordinates, the first axis slowest.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::StringAttr">:$names,
                        ArrayRefParameter<"int64_t">:$sizes);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Number of ranks: the product of the sizes.
    int64_t worldSize() const;
    /// Size of the axis, or nothing when the mesh has no such axis.
    std::optional<int64_t> sizeOf(::mlir::StringAttr axis) const;
    /// Coordinate of `rank` on the axis, which the mesh has.
    int64_t coordinate(int64_t rank, ::mlir::StringAttr axis) const;
  }];
}

def Dist_CutAttr : Dist_Attr<"Cut", "cut"> {
  let summary = "How one dimension is cut over one axis";
  let description = [{
    `_`: not cut. `tp`: cut evenly, coordinate i holds the i-th of equal blocks. `tp{0:3, 3:8}`: one
    entry per coordinate, half-open index ranges; they may differ in length and overlap (more ranks
    than KV heads), and a coordinate may hold several, joined by `+` (packed weights):
    `tp{0:4+8:12, 4:8+12:16}`. An even cut is always written as just the axis. A size known only at run
    time (tokens) is cut as evenly as it goes: the first coordinates hold one more.
  }];
  // One array per coordinate: begin, end, begin, end, ... Empty: an even cut. No axis: not cut.
  let parameters = (ins DefaultValuedParameter<"::mlir::StringAttr", "::mlir::StringAttr()">:$axis,
                        ArrayRefParameter<"::mlir::DenseI64ArrayAttr">:$ranges);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    bool isCut() const { return static_cast<bool>(getAxis()); }
    bool isEven() const { return getRanges().empty(); }
  }];
}

def Dist_PlacementAttr : Dist_Attr<"Placement", "placement"> {
  let summary = "Where the parts of a value lie on the mesh";
  let description = [{
    One cut per dimension, and the axes over which the value is only a partial sum:

    | written | meaning on the axis tp |
    | --- | --- |
    | (nothing) | every rank holds the whole value |
    | `[_, tp]` | the second dimension is cut |
    | `partial tp` | the value is the sum of what the ranks hold |
    | `[dp, _] partial tp` | both, on two axes |

    An axis occurs at most once.
  }];
  let parameters = (ins ArrayRefParameter<"::dcc::dist::CutAttr">:$cuts,
                        ArrayRefParameter<"::mlir::StringAttr">:$partial);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    bool isPartial() const { return !getPartial().empty(); }
    bool isCut() const;
    /// Parses and prints what stands between the angle brackets; also used inside types.
    static ::mlir::FailureOr<PlacementAttr> parseBare(::mlir::AsmParser& parser, size_t rank);
    void printBare(::mlir::AsmPrinter& printer) const;
  }];
}

#endif
