// RUN: %dcc-opt %s -split-input-file -fuse-linears | FileCheck %s

// q, k and v become one weight whose cut has every rank's rows of each; k and v are held twice.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  // CHECK: nn.weight @"m.q+k+v.weight" : !nn.tensor<8 x 8 x f32, [tp{0:2+4:8, 2:8}, _]> from
  // CHECK-SAME: [#nn.source<"q" in 0 at 0 : 4 x 8 x f32>, #nn.source<"k" in 0 at 128 : 2 x 8 x f32>, #nn.source<"v" in 0 at 192 : 2 x 8 x f32>]
  // CHECK-SAME: rule "q = colwise; k = colwise"
  // CHECK-NOT: nn.weight @m.q.weight
  nn.weight @m.q.weight : !nn.tensor<4 x 8 x f32, [tp, _]> from [#nn.source<"q" in 0 at 0 : 4 x 8 x f32>] rule "q = colwise"
  nn.weight @m.k.weight : !nn.tensor<2 x 8 x f32, [tp{0:2, 0:2}, _]> from [#nn.source<"k" in 0 at 128 : 2 x 8 x f32>] rule "k = colwise"
  nn.weight @m.v.weight : !nn.tensor<2 x 8 x f32, [tp{0:2, 0:2}, _]> from [#nn.source<"v" in 0 at 192 : 2 x 8 x f32>] rule "k = colwise"
  // CHECK: nn.weight @tied.weight
  nn.weight @tied.weight : !nn.tensor<4 x 8 x f32> from [#nn.source<"tied" in 0 at 0 : 4 x 8 x f32>]
  nn.weight @other.weight : !nn.tensor<4 x 8 x f32> from [#nn.source<"other" in 0 at 0 : 4 x 8 x f32>]
  // CHECK-LABEL: func.func @prefill
  func.func @prefill(%x: !nn.tensor<T x 8 x f32>) {
    // CHECK-NEXT: %[[QKV:.*]] = nn.linear %arg0, @"m.q+k+v.weight" : <T x 8 x f32> -> <T x 8 x f32, [_, tp{0:2+4:8, 2:8}]>
    // CHECK-NEXT: nn.split %[[QKV]]
    %q = nn.linear %x, @m.q.weight : <T x 8 x f32> -> <T x 4 x f32, [_, tp]>
    %k = nn.linear %x, @m.k.weight : <T x 8 x f32> -> <T x 2 x f32, [_, tp{0:2, 0:2}]>
    %v = nn.linear %x, @m.v.weight : <T x 8 x f32> -> <T x 2 x f32, [_, tp{0:2, 0:2}]>
    return
  }
  // Another entry uses the same stacked weight.
  // CHECK-LABEL: func.func @decode
  // CHECK-NEXT: nn.linear %arg0, @"m.q+k+v.weight"
  func.func @decode(%x: !nn.tensor<T x 8 x f32>) {
    %q = nn.linear %x, @m.q.weight : <T x 8 x f32> -> <T x 4 x f32, [_, tp]>
    %k = nn.linear %x, @m.k.weight : <T x 8 x f32> -> <T x 2 x f32, [_, tp{0:2, 0:2}]>
    %v = nn.linear %x, @m.v.weight : <T x 8 x f32> -> <T x 2 x f32, [_, tp{0:2, 0:2}]>
    return
  }
  // A weight with another use would have to be held twice: nothing is stacked.
  // CHECK-LABEL: func.func @tied
  // CHECK: nn.linear %{{.*}}, @tied.weight
  // CHECK: nn.linear %{{.*}}, @other.weight
  func.func @tied(%t: !nn.tensor<T x i32>) {
    %x = nn.embedding %t, @tied.weight : <T x i32> -> <T x 8 x f32>
    %a = nn.linear %x, @tied.weight : <T x 8 x f32> -> <T x 4 x f32>
    %b = nn.linear %x, @other.weight : <T x 8 x f32> -> <T x 4 x f32>
    return
  }
}

// -----

// What a collective reads is left alone: columns of a stacked result have gaps between their rows.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  // CHECK: nn.weight @m.q.weight
  nn.weight @m.q.weight : !nn.tensor<4 x 8 x f32, [tp, _]> from [#nn.source<"q" in 0 at 0 : 4 x 8 x f32>]
  // CHECK: nn.weight @"m.k+v.weight"
  nn.weight @m.k.weight : !nn.tensor<2 x 8 x f32, [tp, _]> from [#nn.source<"k" in 0 at 128 : 2 x 8 x f32>]
  nn.weight @m.v.weight : !nn.tensor<2 x 8 x f32, [tp, _]> from [#nn.source<"v" in 0 at 192 : 2 x 8 x f32>]
  func.func @gathered(%x: !nn.tensor<T x 8 x f32>) {
    %q = nn.linear %x, @m.q.weight : <T x 8 x f32> -> <T x 4 x f32, [_, tp]>
    %whole = dist.all_gather %q dimension 1 over "tp" because "q" : <T x 4 x f32, [_, tp]> -> <T x 4 x f32>
    %k = nn.linear %x, @m.k.weight : <T x 8 x f32> -> <T x 2 x f32, [_, tp]>
    %v = nn.linear %x, @m.v.weight : <T x 8 x f32> -> <T x 2 x f32, [_, tp]>
    return
  }
}

// -----

// One product has one type: a router's logits are f32 beside bf16.
module attributes {dist.mesh = #dist.mesh<tp = 1>} {
  nn.weight @m.gate.weight : !nn.tensor<8 x 8 x bf16> from [#nn.source<"g" in 0 at 0 : 8 x 8 x bf16>]
  nn.weight @m.router.weight : !nn.tensor<8 x 8 x bf16> from [#nn.source<"r" in 0 at 0 : 8 x 8 x bf16>]
  // CHECK-LABEL: func.func @types
  func.func @types(%x: !nn.tensor<T x 8 x bf16>) {
    // CHECK-NOT: nn.split
    // CHECK: @m.gate.weight : <T x 8 x bf16> -> <T x 8 x bf16>
    // CHECK: @m.router.weight : <T x 8 x bf16> -> <T x 8 x f32>
    %g = nn.linear %x, @m.gate.weight : <T x 8 x bf16> -> <T x 8 x bf16>
    %r = nn.linear %x, @m.router.weight : <T x 8 x bf16> -> <T x 8 x f32>
    return
  }
}

// -----

// Nor are products whose sums are made in parts.
module attributes {dist.mesh = #dist.mesh<tp = 1>, nn.numerics = "invariant"} {
  nn.weight @m.a.weight : !nn.tensor<8 x 8 x f32> from [#nn.source<"a" in 0 at 0 : 8 x 8 x f32>]
  nn.weight @m.b.weight : !nn.tensor<8 x 8 x f32> from [#nn.source<"b" in 0 at 0 : 8 x 8 x f32>]
  // CHECK-LABEL: func.func @parts
  func.func @parts(%x: !nn.tensor<T x 8 x f32>) {
    // CHECK-NOT: nn.split
    // CHECK: @m.a.weight chunks 8 :
    // CHECK: @m.b.weight chunks 8 :
    %a = nn.linear %x, @m.a.weight chunks 8 : <T x 8 x f32> -> <T x 8 x f32>
    %b = nn.linear %x, @m.b.weight chunks 8 : <T x 8 x f32> -> <T x 8 x f32>
    return
  }
}
