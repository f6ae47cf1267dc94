// RUN: %dcc-opt %s -split-input-file -localize | FileCheck %s

// One class of ranks: local shapes, the whole type beside each weight, counts and ranges in what
// moves parts, KV heads of a rank in its cache.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  // CHECK: dist.program @program_0 ranks [0, 1] {
  // CHECK: nn.weight @up : !nn.tensor<8 x 8 x f32> of !nn.tensor<16 x 8 x f32, [tp, _]> from
  nn.weight @up : !nn.tensor<16 x 8 x f32, [tp, _]> from [#nn.source<"up" in 0 at 0 : 16 x 8 x f32>]
  // CHECK: nn.weight @whole : !nn.tensor<8 x 8 x f32> of !nn.tensor<8 x 8 x f32> from
  nn.weight @whole : !nn.tensor<8 x 8 x f32> from [#nn.source<"whole" in 0 at 0 : 8 x 8 x f32>]
  // CHECK: nn.cache @cache : 2 heads of 4 + 4 x f32 in "full"
  nn.cache @cache : 4 heads of 4 + 4 x f32 in "full"
  // CHECK: func.func @f(%{{.*}}: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32>
  // CHECK-SAME: nn.results = [!nn.tensor<T x 16 x f32, [_, tp]>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 16 x f32, [_, tp]> {
    // CHECK: nn.linear %{{.*}}, @up : <T x 8 x f32> -> <T x 8 x f32>
    %u = nn.linear %x, @up : <T x 8 x f32> -> <T x 16 x f32, [_, tp]>
    // CHECK: nn.attention {{.*}} -> <T x 8 x f32>
    %a = nn.attention %u, %u, %u, @cache k_dim 4 v_dim 4 scale 1.0 : <T x 16 x f32, [_, tp]>, <T x 16 x f32, [_, tp]>, <T x 16 x f32, [_, tp]> -> <T x 16 x f32, [_, tp]>
    // CHECK: dist.all_gather %{{.*}} dimension 1 over "tp" counts [8, 8] because "g" : <T x 8 x f32> -> <T x 16 x f32>
    %g = dist.all_gather %a dimension 1 over "tp" because "g" : <T x 16 x f32, [_, tp]> -> <T x 16 x f32>
    // CHECK: dist.slice %{{.*}} dimension 1 over "tp" ranges [array<i64: 0, 8>, array<i64: 8, 16>] because "s" : <T x 16 x f32> -> <T x 8 x f32>
    %s = dist.slice %g dimension 1 over "tp" because "s" : <T x 16 x f32> -> <T x 16 x f32, [_, tp]>
    return %s : !nn.tensor<T x 16 x f32, [_, tp]>
  }
}

// -----

// How many tokens a rank has is known at run time: T_tp, in one program for all.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  // CHECK: dist.program @program_0 ranks [0, 1] {
  func.func @f(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: dist.slice %{{.*}} dimension 0 over "tp" because "s" : <T x 8 x f32> -> <T_tp x 8 x f32>
    %s = dist.slice %x dimension 0 over "tp" because "s" : <T x 8 x f32> -> <T x 8 x f32, [tp, _]>
    // CHECK: dist.all_gather %{{.*}} dimension 0 over "tp" because "g" : <T_tp x 8 x f32> -> <T x 8 x f32>
    %g = dist.all_gather %s dimension 0 over "tp" because "g" : <T x 8 x f32, [tp, _]> -> <T x 8 x f32>
    return %g : !nn.tensor<T x 8 x f32>
  }
}

// -----

// Ranks whose shapes differ get programs of their own.
module attributes {dist.mesh = #dist.mesh<tp = 3>} {
  // CHECK: dist.program @program_0 ranks [0, 1]
  // CHECK: nn.weight @w : !nn.tensor<3 x 8 x f32> of
  // CHECK: dist.program @program_1 ranks [2]
  // CHECK: nn.weight @w : !nn.tensor<2 x 8 x f32> of
  nn.weight @w : !nn.tensor<8 x 8 x f32, [tp{0:3, 3:6, 6:8}, _]> from [#nn.source<"w" in 0 at 0 : 8 x 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32, [_, tp{0:3, 3:6, 6:8}]> {
    %y = nn.linear %x, @w : <T x 8 x f32> -> <T x 8 x f32, [_, tp{0:3, 3:6, 6:8}]>
    return %y : !nn.tensor<T x 8 x f32, [_, tp{0:3, 3:6, 6:8}]>
  }
}

// -----

// Ranks cut through groups of three query heads: each is told the first one's place in its group.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.cache @cache : 2 heads of 4 + 4 x f32 in "full"
  func.func @f(%q: !nn.tensor<T x 24 x f32>, %k: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 24 x f32, [_, tp{0:16, 16:24}]> {
    %h = dist.slice %q dimension 1 over "tp" because "s" : <T x 24 x f32> -> <T x 24 x f32, [_, tp{0:16, 16:24}]>
    %g = dist.slice %k dimension 1 over "tp" because "s" : <T x 8 x f32> -> <T x 8 x f32, [_, tp{0:8, 4:8}]>
    // CHECK: nn.attention {{.*}} pairing [array<i64: 0, 3>, array<i64: 1, 3>] {axis = "tp"} : <T x 16 x f32>, <T x 8 x f32>, <T x 8 x f32> -> <T x 16 x f32>
    // CHECK: nn.attention {{.*}} pairing [array<i64: 0, 3>, array<i64: 1, 3>] {axis = "tp"} : <T x 8 x f32>, <T x 4 x f32>, <T x 4 x f32> -> <T x 8 x f32>
    %a = nn.attention %h, %g, %g, @cache k_dim 4 v_dim 4 scale 1.0 : <T x 24 x f32, [_, tp{0:16, 16:24}]>, <T x 8 x f32, [_, tp{0:8, 4:8}]>, <T x 8 x f32, [_, tp{0:8, 4:8}]> -> <T x 24 x f32, [_, tp{0:16, 16:24}]>
    return %a : !nn.tensor<T x 24 x f32, [_, tp{0:16, 16:24}]>
  }
}

// -----

// A part of what a rank has is counted from where that begins.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    %a = dist.slice %x dimension 1 over "tp" because "a" : <T x 8 x f32> -> <T x 8 x f32, [_, tp{0:6, 2:8}]>
    // CHECK: dist.slice %{{.*}} dimension 1 over "tp" ranges [array<i64: 0, 4>, array<i64: 2, 6>] because "b" : <T x 6 x f32> -> <T x 4 x f32>
    %b = dist.slice %a dimension 1 over "tp" because "b" : <T x 8 x f32, [_, tp{0:6, 2:8}]> -> <T x 8 x f32, [_, tp]>
    return
  }
}

// -----

// Of 8 parts of a sum that is cut a rank has its own; one that is not keeps all.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.numerics = "invariant"} {
  nn.weight @down : !nn.tensor<8 x 16 x f32, [_, tp]> from [#nn.source<"down" in 0 at 0 : 8 x 16 x f32>]
  nn.weight @gate : !nn.tensor<8 x 16 x 8 x f32, [tp, _, _]> from [#nn.source<"g" in 0 at 0 : 8 x 16 x 8 x f32>]
  nn.weight @out : !nn.tensor<8 x 8 x 16 x f32, [tp, _, _]> from [#nn.source<"d" in 0 at 0 : 8 x 8 x 16 x f32>]
  nn.weight @split : !nn.tensor<16 x 8 x f32, [tp, _]> from [#nn.source<"s" in 0 at 0 : 16 x 8 x f32>]
  // CHECK-LABEL: func.func @parts
  func.func @parts(%y: !nn.tensor<T x 8 x f32>) {
    %x = nn.linear %y, @split : <T x 8 x f32> -> <T x 16 x f32, [_, tp]>
    // CHECK: nn.linear %{{.*}}, @down chunks 4 : <T x 8 x f32> -> <T x 8 x f32>
    %a = nn.linear %x, @down chunks 8 : <T x 16 x f32, [_, tp]> -> <T x 8 x f32, partial tp>
    %g = dist.slice %y dimension 1 over "tp" because "experts" : <T x 8 x f32> -> <T x 8 x f32, [_, tp]>
    // CHECK: nn.experts "silu" {{.*}} groups 4 :
    %e = nn.experts "silu" %y, %g, @gate, @gate, @out groups 8 : <T x 8 x f32>, <T x 8 x f32, [_, tp]> -> <T x 8 x f32, partial tp>
    return
  }
}
