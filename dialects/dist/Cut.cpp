// Arithmetic of cuts: which indices each coordinate of an axis holds.
#include "dialects/dist/Dist.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace dcc::dist {

int64_t sizeOf(const Ranges& ranges) {
  int64_t n = 0;
  for (Range r : ranges) n += r.size();
  return n;
}

std::optional<Ranges> within(const Ranges& part, const Ranges& all) {
  Ranges places;
  for (Range r : part) {
    int64_t before = 0;
    bool found = false;
    for (Range own : all) {
      if (r.begin >= own.begin && r.end <= own.end) {
        places.push_back({before + r.begin - own.begin, before + r.end - own.begin});
        found = true;
        break;
      }
      before += own.size();
    }
    if (!found) return std::nullopt;
  }
  return places;
}

CutRanges rangesOf(CutAttr cut, int64_t size, int64_t ranks) {
  CutRanges result(ranks);
  for (int64_t i = 0; i < ranks; ++i) {
    if (cut.isEven()) {
      result[i].push_back({size / ranks * i, size / ranks * (i + 1)});
      continue;
    }
    ArrayRef<int64_t> flat = cut.getRanges()[i];
    for (size_t k = 0; k < flat.size(); k += 2) result[i].push_back({flat[k], flat[k + 1]});
  }
  return result;
}

CutAttr cutOf(StringAttr axis, ArrayRef<Ranges> ranges, int64_t size) {
  MLIRContext* context = axis.getContext();
  int64_t ranks = ranges.size();
  bool even = size % ranks == 0;
  SmallVector<DenseI64ArrayAttr> flat;
  for (auto [i, coordinate] : llvm::enumerate(ranges)) {
    // Neighbouring ranges are one range.
    SmallVector<int64_t> list;
    for (Range r : coordinate) {
      if (!list.empty() && list.back() == r.begin) {
        list.back() = r.end;
      } else {
        list.append({r.begin, r.end});
      }
    }
    int64_t block = size / ranks;
    even &= list.size() == 2 && list[0] == block * int64_t(i) && list[1] == block * int64_t(i + 1);
    flat.push_back(DenseI64ArrayAttr::get(context, list));
  }
  return even ? CutAttr::get(context, axis, {}) : CutAttr::get(context, axis, ArrayRef(flat));
}

std::optional<CutAttr> stack(ArrayRef<CutAttr> cuts, ArrayRef<int64_t> sizes, MeshAttr mesh) {
  StringAttr axis = cuts.front().getAxis();
  if (llvm::any_of(cuts, [&](CutAttr cut) { return cut.getAxis() != axis; })) return std::nullopt;
  if (!axis) return cuts.front();
  CutRanges stacked(*mesh.sizeOf(axis));
  int64_t offset = 0;
  for (auto [cut, size] : llvm::zip(cuts, sizes)) {
    for (auto [all, own] : llvm::zip(stacked, rangesOf(cut, size, stacked.size()))) {
      for (Range r : own) all.push_back({r.begin + offset, r.end + offset});
    }
    offset += size;
  }
  return cutOf(axis, stacked, offset);
}

std::optional<SmallVector<CutAttr>> unstack(CutAttr cut, ArrayRef<int64_t> sizes, MeshAttr mesh) {
  SmallVector<CutAttr> cuts(sizes.size(), cut);
  if (!cut.isCut()) return cuts;
  int64_t ranks = *mesh.sizeOf(cut.getAxis()), total = 0, begin = 0;
  for (int64_t size : sizes) total += size;
  CutRanges all = rangesOf(cut, total, ranks);
  for (auto [own, size] : llvm::zip(cuts, sizes)) {
    CutRanges parts(ranks);
    for (auto [part, ranges] : llvm::zip(parts, all)) {
      for (Range r : ranges) {
        Range inside{std::max(r.begin, begin), std::min(r.end, begin + size)};
        if (inside.size() > 0) part.push_back({inside.begin - begin, inside.end - begin});
      }
      if (part.empty()) return std::nullopt;
    }
    own = cutOf(cut.getAxis(), parts, size);
    begin += size;
  }
  return cuts;
}

int64_t tokensOf(int64_t n, int64_t i, int64_t ranks) { return n / ranks + (i < n % ranks); }

std::string checkCut(CutAttr cut, std::optional<int64_t> size, MeshAttr mesh) {
  if (!cut.isCut()) return {};
  std::string axis = cut.getAxis().getValue().str();
  std::optional<int64_t> ranks = mesh.sizeOf(cut.getAxis());
  if (!ranks) return "the mesh has no axis '" + axis + "'";
  if (cut.isEven()) {
    if (!size || *size % *ranks == 0) return {};
    return std::to_string(*size) + " is not divisible by " + axis + " = " + std::to_string(*ranks);
  }
  if (!size) return "a size known only at run time is cut evenly";
  if (int64_t(cut.getRanges().size()) != *ranks) {
    return "the cut has ranges for " + std::to_string(cut.getRanges().size()) +
           " coordinates, the axis " + axis + " has " + std::to_string(*ranks);
  }
  // Together the coordinates hold every index.
  SmallVector<Range> all;
  for (const Ranges& ranges : rangesOf(cut, *size, *ranks)) {
    all.append(ranges.begin(), ranges.end());
  }
  llvm::sort(all, [](Range a, Range b) { return a.begin < b.begin; });
  int64_t covered = 0;
  for (Range r : all) {
    if (r.begin > covered) break;
    covered = std::max(covered, r.end);
  }
  if (covered != *size) {
    return "the ranges cover " + std::to_string(covered) + " of " + std::to_string(*size) +
           " indices";
  }
  return {};
}

PlacementAttr placement(MLIRContext* context, ArrayRef<CutAttr> cuts,
                        ArrayRef<StringAttr> partial) {
  if (partial.empty() && llvm::none_of(cuts, [](CutAttr cut) { return cut.isCut(); })) return {};
  return PlacementAttr::get(context, cuts, partial);
}

std::string describe(PlacementAttr placement) {
  if (!placement) return "whole on every rank";
  std::string text;
  llvm::raw_string_ostream os(text);
  bool cut = placement.isCut();
  if (cut) {
    os << '[';
    llvm::interleaveComma(placement.getCuts(), os,
                          [&](CutAttr c) { os << (c.isCut() ? c.getAxis().getValue() : "_"); });
    os << ']';
  }
  if (placement.isPartial()) {
    os << (cut ? " " : "") << "partial ";
    llvm::interleaveComma(placement.getPartial(), os, [&](StringAttr a) { os << a.getValue(); });
  }
  return text;
}

MeshAttr meshOf(Operation* op) {
  ModuleOp module = isa<ModuleOp>(op) ? cast<ModuleOp>(op) : op->getParentOfType<ModuleOp>();
  if (auto mesh = module ? module->getAttrOfType<MeshAttr>("dist.mesh") : MeshAttr()) return mesh;
  return MeshAttr::get(op->getContext(), {}, {});
}

}  // namespace dcc::dist
