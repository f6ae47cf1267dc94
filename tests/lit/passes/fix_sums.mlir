// RUN: %dcc-opt %s -split-input-file -fix-sums -verify-diagnostics | FileCheck %s

// What a rule cuts is summed in parts on one rank as on several, and is f32; colwise sums run over all
// of k anyway.
module attributes {dist.mesh = #dist.mesh<tp = 1>, nn.numerics = "invariant"} {
  nn.weight @up : !nn.tensor<16 x 8 x bf16> from [#nn.source<"up" in 0 at 0 : 16 x 8 x bf16>] {nn.cuts = 0 : i64}
  nn.weight @down : !nn.tensor<8 x 16 x bf16> from [#nn.source<"down" in 0 at 0 : 8 x 16 x bf16>] {nn.cuts = 1 : i64}
  nn.weight @table : !nn.tensor<32 x 8 x bf16> from [#nn.source<"table" in 0 at 0 : 32 x 8 x bf16>] {nn.cuts = 0 : i64}
  // CHECK-LABEL: func.func @one_rank
  func.func @one_rank(%tokens: !nn.tensor<T x i32>) -> !nn.tensor<T x 8 x bf16> {
    // CHECK: nn.embedding {{.*}} -> <T x 8 x f32>
    %x = nn.embedding %tokens, @table : <T x i32> -> <T x 8 x bf16>
    // CHECK: nn.linear %{{.*}}, @up : <T x 8 x f32> -> <T x 16 x bf16>
    %u = nn.linear %x, @up : <T x 8 x bf16> -> <T x 16 x bf16>
    // CHECK: nn.linear %{{.*}}, @down chunks 8 : <T x 16 x bf16> -> <T x 8 x f32>
    %d = nn.linear %u, @down : <T x 16 x bf16> -> <T x 8 x bf16>
    // CHECK: nn.add {{.*}} -> <T x 8 x bf16>
    %s = nn.add %x, %d : <T x 8 x bf16>, <T x 8 x bf16> -> <T x 8 x bf16>
    return %s : !nn.tensor<T x 8 x bf16>
  }
}

// -----

// Experts keep a sum for each part of their width, or for each group of experts.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.numerics = "invariant"} {
  nn.weight @gate : !nn.tensor<8 x 16 x 8 x f32, [_, tp, _]> from [#nn.source<"g" in 0 at 0 : 8 x 16 x 8 x f32>] {nn.cuts = 1 : i64}
  nn.weight @up : !nn.tensor<8 x 16 x 8 x f32, [_, tp, _]> from [#nn.source<"u" in 0 at 0 : 8 x 16 x 8 x f32>] {nn.cuts = 1 : i64}
  nn.weight @down : !nn.tensor<8 x 8 x 16 x f32, [_, _, tp]> from [#nn.source<"d" in 0 at 0 : 8 x 8 x 16 x f32>] {nn.cuts = 2 : i64}
  nn.weight @whole : !nn.tensor<8 x 8 x 16 x f32, [tp, _, _]> from [#nn.source<"d" in 0 at 0 : 8 x 8 x 16 x f32>] {nn.cuts = 0 : i64}
  // CHECK-LABEL: func.func @experts
  func.func @experts(%x: !nn.tensor<T x 8 x f32>, %gates: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: nn.experts "silu" {{.*}} chunks 8 :
    %p = nn.experts "silu" %x, %gates, @gate, @up, @down : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.experts "silu" {{.*}} groups 8 :
    %e = nn.experts "silu" %x, %gates, @gate, @up, @whole : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    %s = nn.add %p, %e : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    return %s : !nn.tensor<T x 8 x f32>
  }
}

// -----

// Fast numerics are left alone.
module attributes {dist.mesh = #dist.mesh<tp = 3>} {
  nn.weight @down : !nn.tensor<8 x 15 x f32, [_, tp]> from [#nn.source<"down" in 0 at 0 : 8 x 15 x f32>] {nn.cuts = 1 : i64}
  // CHECK-LABEL: func.func @fast
  func.func @fast(%x: !nn.tensor<T x 15 x f32>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: nn.linear %{{.*}}, @down : <
    %d = nn.linear %x, @down : <T x 15 x f32> -> <T x 8 x f32>
    return %d : !nn.tensor<T x 8 x f32>
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 3>, nn.numerics = "invariant"} {
  nn.weight @down : !nn.tensor<8 x 24 x f32, [_, tp]> from [#nn.source<"down" in 0 at 0 : 8 x 24 x f32>] rule "down = rowwise" {nn.cuts = 1 : i64}
  func.func @degree(%x: !nn.tensor<T x 24 x f32>) -> !nn.tensor<T x 8 x f32> {
    // expected-error @+1 {{sums over 24, which --numerics invariant cuts into 8 parts of 3, and --tp 3 cuts elsewhere (down = rowwise); a degree of 1, 2, 4 or 8 that divides the heads is right}}
    %d = nn.linear %x, @down : <T x 24 x f32> -> <T x 8 x f32>
    return %d : !nn.tensor<T x 8 x f32>
  }
}

// -----

// Heads that don't divide: the cut is not at half.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.numerics = "invariant"} {
  nn.weight @o : !nn.tensor<8 x 24 x f32, [_, tp{0:16, 16:24}]> from [#nn.source<"o" in 0 at 0 : 8 x 24 x f32>] rule "o = rowwise" {nn.cuts = 1 : i64}
  func.func @heads(%x: !nn.tensor<T x 24 x f32>) -> !nn.tensor<T x 8 x f32> {
    // expected-error @+1 {{and --tp 2 cuts elsewhere (o = rowwise)}}
    %d = nn.linear %x, @o : <T x 24 x f32> -> <T x 8 x f32>
    return %d : !nn.tensor<T x 8 x f32>
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 1>, nn.numerics = "invariant"} {
  nn.weight @down : !nn.tensor<8 x 12 x f32> from [#nn.source<"down" in 0 at 0 : 8 x 12 x f32>] {nn.cuts = 1 : i64}
  func.func @size(%x: !nn.tensor<T x 12 x f32>) -> !nn.tensor<T x 8 x f32> {
    // expected-error @+1 {{sums over 12, which --numerics invariant cuts into 8 equal parts; --numerics fast is right}}
    %d = nn.linear %x, @down : <T x 12 x f32> -> <T x 8 x f32>
    return %d : !nn.tensor<T x 8 x f32>
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.numerics = "invariant"} {
  nn.weight @down : !nn.tensor<8 x 16 x f32, [_, tp]> from [#nn.source<"down" in 0 at 0 : 8 x 16 x f32>] rule "down = mine"
  func.func @library(%x: !nn.tensor<T x 16 x f32>) -> !nn.tensor<T x 8 x f32> {
    // expected-error @+1 {{is cut by a library (down = mine), and its sums may differ from degree to degree}}
    %d = nn.linear %x, @down : <T x 16 x f32> -> <T x 8 x f32>
    return %d : !nn.tensor<T x 8 x f32>
  }
}
