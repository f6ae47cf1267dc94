// RUN: %dcc-opt %s -split-input-file -shard -verify-diagnostics | FileCheck %s

// Placements flow forward; a partial sum stays one through linear ops and is summed before the
// first other use, with the rule that made it as the reason.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @up : !nn.tensor<16 x 8 x f32, [tp, _]> from [#nn.source<"up" in 0 at 0 : 16 x 8 x f32>] rule "up = colwise"
  nn.weight @down : !nn.tensor<8 x 16 x f32, [_, tp]> from [#nn.source<"down" in 0 at 0 : 8 x 16 x f32>] rule "down = rowwise"
  nn.weight @bias : !nn.tensor<8 x f32> from [#nn.source<"bias" in 0 at 0 : 8 x f32>]
  nn.weight @head : !nn.tensor<4 x 8 x f32> from [#nn.source<"head" in 0 at 0 : 4 x 8 x f32>]
  // CHECK-LABEL: func.func @mlp
  func.func @mlp(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: nn.linear {{.*}} -> <T x 16 x f32, [_, tp]>
    %u = nn.linear %x, @up : <T x 8 x f32> -> <T x 16 x f32>
    // CHECK: nn.activation {{.*}} -> <T x 16 x f32, [_, tp]>
    %a = nn.activation "relu" %u : <T x 16 x f32> -> <T x 16 x f32>
    // CHECK: %[[D:.*]] = nn.linear {{.*}} -> <T x 8 x f32, partial tp>
    %d = nn.linear %a, @down : <T x 16 x f32> -> <T x 8 x f32>
    // CHECK: %[[S:.*]] = dist.reshard %[[D]] because "down = rowwise" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    // CHECK: nn.add_bias %[[S]]
    %b = nn.add_bias %d, @bias : <T x 8 x f32> -> <T x 8 x f32>
    return %b : !nn.tensor<T x 8 x f32>
  }
  // Sums of partial sums, and a whole linear of one, are partial sums: one reshard, at the return.
  // CHECK-LABEL: func.func @lazy
  // CHECK-SAME: -> !nn.tensor<T x 4 x f32>
  func.func @lazy(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 4 x f32> {
    %u = nn.linear %x, @up : <T x 8 x f32> -> <T x 16 x f32>
    %d = nn.linear %u, @down : <T x 16 x f32> -> <T x 8 x f32>
    // CHECK: nn.add {{.*}} -> <T x 8 x f32, partial tp>
    %s = nn.add %d, %d : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.linear {{.*}} -> <T x 4 x f32, partial tp>
    // CHECK-NEXT: dist.reshard
    // CHECK-NEXT: return
    %h = nn.linear %s, @head : <T x 8 x f32> -> <T x 4 x f32>
    return %h : !nn.tensor<T x 4 x f32>
  }
}

// -----

// Fewer KV heads than ranks: every rank has the KV head of its query heads.
module attributes {dist.mesh = #dist.mesh<tp = 4>} {
  nn.weight @q : !nn.tensor<8 x 8 x f32, [tp, _]> heads 4 from [#nn.source<"q" in 0 at 0 : 8 x 8 x f32>]
  nn.weight @k : !nn.tensor<4 x 8 x f32, [tp{0:2, 0:2, 2:4, 2:4}, _]> heads 2 shared from [#nn.source<"k" in 0 at 0 : 4 x 8 x f32>]
  nn.cache @cache : 2 heads of 2 + 2 x f32 in "full"
  // CHECK-LABEL: func.func @attention
  func.func @attention(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> {
    %q = nn.linear %x, @q : <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: -> <T x 4 x f32, [_, tp{0:2, 0:2, 2:4, 2:4}]>
    %k = nn.linear %x, @k : <T x 8 x f32> -> <T x 4 x f32>
    // CHECK: nn.attention {{.*}} -> <T x 8 x f32, [_, tp]>
    %a = nn.attention %q, %k, %k, @cache k_dim 2 v_dim 2 scale 1.0
        : <T x 8 x f32>, <T x 4 x f32>, <T x 4 x f32> -> <T x 8 x f32>
    return %a : !nn.tensor<T x 8 x f32>
  }
}

// -----

// Heads need not be neighbours: rank 0 has query heads 0, 1, 4 and 5, and their KV heads 0 and 2.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @q : !nn.tensor<16 x 8 x f32, [tp{0:4+8:12, 4:8+12:16}, _]> from [#nn.source<"q" in 0 at 0 : 16 x 8 x f32>]
  nn.weight @k : !nn.tensor<8 x 8 x f32, [tp{0:2+4:6, 2:4+6:8}, _]> from [#nn.source<"k" in 0 at 0 : 8 x 8 x f32>]
  nn.cache @cache : 4 heads of 2 + 2 x f32 in "full"
  // CHECK-LABEL: func.func @blocks
  func.func @blocks(%x: !nn.tensor<T x 8 x f32>) {
    %q = nn.linear %x, @q : <T x 8 x f32> -> <T x 16 x f32>
    %k = nn.linear %x, @k : <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.attention {{.*}} -> <T x 16 x f32, [_, tp{0:4+8:12, 4:8+12:16}]>
    %a = nn.attention %q, %k, %k, @cache k_dim 2 v_dim 2 scale 1.0
        : <T x 16 x f32>, <T x 8 x f32>, <T x 8 x f32> -> <T x 16 x f32>
    return
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @q : !nn.tensor<16 x 8 x f32, [tp, _]> from [#nn.source<"q" in 0 at 0 : 16 x 8 x f32>] rule "q = colwise"
  nn.weight @k : !nn.tensor<8 x 8 x f32, [tp{0:2+4:6, 2:4+6:8}, _]> from [#nn.source<"k" in 0 at 0 : 8 x 8 x f32>] rule "k = packed_colwise"
  nn.cache @cache : 4 heads of 2 + 2 x f32 in "full"
  func.func @other_heads(%x: !nn.tensor<T x 8 x f32>) {
    %q = nn.linear %x, @q : <T x 8 x f32> -> <T x 16 x f32>
    %k = nn.linear %x, @k : <T x 8 x f32> -> <T x 8 x f32>
    // expected-error @+1 {{(q = colwise) is cut over tp, the output of  (k = packed_colwise) is cut unevenly over tp; every rank needs its query heads' KV heads, so give both the same rule}}
    %a = nn.attention %q, %k, %k, @cache k_dim 2 v_dim 2 scale 1.0
        : <T x 16 x f32>, <T x 8 x f32>, <T x 8 x f32> -> <T x 16 x f32>
    return
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @head : !nn.tensor<8 x 8 x f32, [tp{0:2+4:6, 2:4+6:8}, _]> from [#nn.source<"h" in 0 at 0 : 8 x 8 x f32>] rule "head = packed_colwise"
  func.func @result(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> {
    // expected-error @+1 {{gives a rank several ranges of the result's columns (head = packed_colwise), but one range each makes the result; colwise is right}}
    %y = nn.linear %x, @head : <T x 8 x f32> -> <T x 8 x f32>
    return %y : !nn.tensor<T x 8 x f32>
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @up : !nn.tensor<16 x 8 x f32, [tp, _]> from [#nn.source<"up" in 0 at 0 : 16 x 8 x f32>] rule "up = colwise"
  nn.weight @down : !nn.tensor<8 x 16 x f32> from [#nn.source<"down" in 0 at 0 : 8 x 16 x f32>]
  func.func @conflict(%x: !nn.tensor<T x 8 x f32>) {
    %u = nn.linear %x, @up : <T x 8 x f32> -> <T x 16 x f32>
    // expected-error @+1 {{weight down (no rule) is whole where the output of  (up = colwise) is cut over tp; give this module a rule that takes a cut input (rowwise), or the producer one that gathers (colwise_rep)}}
    %d = nn.linear %u, @down : <T x 16 x f32> -> <T x 8 x f32>
    return
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @up : !nn.tensor<16 x 8 x f32, [tp, _]> from [#nn.source<"up" in 0 at 0 : 16 x 8 x f32>] rule "up = colwise"
  nn.weight @norm : !nn.tensor<16 x f32> from [#nn.source<"norm" in 0 at 0 : 16 x f32>]
  func.func @whole(%x: !nn.tensor<T x 8 x f32>) {
    %u = nn.linear %x, @up : <T x 8 x f32> -> <T x 16 x f32>
    // expected-error @+1 {{weight norm (no rule) is whole where the output of  (up = colwise) is cut over tp}}
    %d = nn.rms_norm %u, @norm eps 1.0e-5 : <T x 16 x f32> -> <T x 16 x f32>
    return
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @q : !nn.tensor<6 x 8 x f32, [tp, _]> from [#nn.source<"q" in 0 at 0 : 6 x 8 x f32>] rule "q = colwise"
  nn.frequencies @rope [1.0] scale 1.0
  func.func @head(%x: !nn.tensor<T x 8 x f32>, %p: !nn.tensor<T x i32>) {
    %q = nn.linear %x, @q : <T x 8 x f32> -> <T x 6 x f32>
    // expected-error @+1 {{the output of  (q = colwise) is cut through a head; heads of 2 stay whole}}
    %r = nn.rope %q, %p, @rope head_dim 2 : <T x 6 x f32>, <T x i32> -> <T x 6 x f32>
    return
  }
}

// -----

// With invariant numerics a partial sum is summed at once: what is done with parts would be another
// value than what one rank does with the sum.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.numerics = "invariant"} {
  nn.weight @down : !nn.tensor<8 x 16 x f32, [_, tp]> from [#nn.source<"down" in 0 at 0 : 8 x 16 x f32>] rule "down = rowwise"
  // CHECK-LABEL: func.func @eager
  func.func @eager(%x: !nn.tensor<T x 16 x f32, [_, tp]>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: %[[A:.*]] = nn.linear {{.*}} chunks 8 {{.*}} -> <T x 8 x f32, partial tp>
    // CHECK-NEXT: %[[SA:.*]] = dist.reshard %[[A]] because "down = rowwise" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %a = nn.linear %x, @down chunks 8 : <T x 16 x f32, [_, tp]> -> <T x 8 x f32>
    // CHECK-NEXT: %[[B:.*]] = nn.scale %[[SA]] by {{.*}} : <T x 8 x f32> -> <T x 8 x f32>
    %b = nn.scale %a by 0.5 : <T x 8 x f32> -> <T x 8 x f32>
    // CHECK-NEXT: nn.add %[[SA]], %[[B]] : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    %s = nn.add %a, %b : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    return %s : !nn.tensor<T x 8 x f32>
  }
}
