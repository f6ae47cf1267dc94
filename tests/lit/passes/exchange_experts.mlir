// RUN: %dcc-opt %s -exchange-experts -verify-sharding | FileCheck %s

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @router : !nn.tensor<4 x 8 x f32> from [#nn.source<"r" in 0 at 0 : 4 x 8 x f32>]
  nn.weight @gate : !nn.tensor<4 x 6 x 8 x f32, [tp, _, _]> from [#nn.source<"g" in 0 at 0 : 4 x 6 x 8 x f32>]
  nn.weight @up : !nn.tensor<4 x 6 x 8 x f32, [tp, _, _]> from [#nn.source<"u" in 0 at 0 : 4 x 6 x 8 x f32>]
  nn.weight @down : !nn.tensor<4 x 8 x 6 x f32, [tp, _, _]> from [#nn.source<"d" in 0 at 0 : 4 x 8 x 6 x f32>]

  // The router works on a rank's own tokens.
  // CHECK-LABEL: func.func @cut
  // CHECK-SAME: (%[[X:.*]]: !nn
  func.func @cut(%x: !nn.tensor<T x 8 x f32, [tp, _]>) -> !nn.tensor<T x 8 x f32, [tp, _]> attributes {nn.all_to_all = "tp"} {
    // CHECK-DAG: %[[L:.*]] = nn.linear %[[X]], @router : <T x 8 x f32, [tp, _]> -> <T x 4 x f32, [tp, _]>
    // CHECK-DAG: %[[R:.*]] = nn.route %[[L]] k 2 "softmax" : <T x 4 x f32, [tp, _]> -> <T x 4 x f32, [tp, _]>
    // CHECK-DAG: %[[G:.*]] = dist.all_gather %[[R]] dimension 0 over "tp" because "experts = grouped_gemm; choose-exchange"
    // CHECK-DAG: %[[S:.*]] = dist.slice %[[G]] dimension 1 over "tp"
    // CHECK-DAG: %[[W:.*]] = dist.all_gather %[[X]] dimension 0 over "tp" for %[[G]] : !nn.tensor<T x 4 x f32> experts [0, 2, 2, 4] because
    // CHECK: %[[Y:.*]] = nn.experts "silu" %[[W]], %[[S]], @gate, @up, @down
    // CHECK: %[[O:.*]] = dist.reduce_scatter %[[Y]] dimension 0 over "tp" for %[[G]] : !nn.tensor<T x 4 x f32> experts [0, 2, 2, 4] because
    // CHECK-NEXT: return %[[O]]
    %w = dist.all_gather %x dimension 0 over "tp" because "norm" : <T x 8 x f32, [tp, _]> -> <T x 8 x f32>
    %l = nn.linear %w, @router : <T x 8 x f32> -> <T x 4 x f32>
    %r = nn.route %l k 2 "softmax" : <T x 4 x f32> -> <T x 4 x f32>
    %g = dist.slice %r dimension 1 over "tp" because "experts = grouped_gemm" : <T x 4 x f32> -> <T x 4 x f32, [_, tp]>
    %y = nn.experts "silu" %w, %g, @gate, @up, @down : <T x 8 x f32>, <T x 4 x f32, [_, tp]> -> <T x 8 x f32, partial tp>
    %s = dist.reduce_scatter %y dimension 0 over "tp" because "experts = grouped_gemm" : <T x 8 x f32, partial tp> -> <T x 8 x f32, [tp, _]>
    return %s : !nn.tensor<T x 8 x f32, [tp, _]>
  }

  // A shared expert's part of the sum goes its own way, and it sees all tokens.
  // CHECK-LABEL: func.func @shared
  func.func @shared(%x: !nn.tensor<T x 8 x f32, [tp, _]>, %p: !nn.tensor<T x 8 x f32, partial tp>) -> !nn.tensor<T x 8 x f32, [tp, _]> attributes {nn.all_to_all = "tp"} {
    // CHECK: %[[Y:.*]] = nn.experts
    // CHECK: %[[A:.*]] = dist.reduce_scatter %[[Y]] dimension 0 over "tp" for
    // CHECK: %[[B:.*]] = dist.reduce_scatter %{{.*}} dimension 0 over "tp" because
    // CHECK: nn.add %[[A]], %[[B]] : <T x 8 x f32, [tp, _]>, <T x 8 x f32, [tp, _]> -> <T x 8 x f32, [tp, _]>
    %w = dist.all_gather %x dimension 0 over "tp" because "norm" : <T x 8 x f32, [tp, _]> -> <T x 8 x f32>
    %l = nn.linear %w, @router : <T x 8 x f32> -> <T x 4 x f32>
    %r = nn.route %l k 2 "softmax" : <T x 4 x f32> -> <T x 4 x f32>
    %g = dist.slice %r dimension 1 over "tp" because "experts = grouped_gemm" : <T x 4 x f32> -> <T x 4 x f32, [_, tp]>
    %y = nn.experts "silu" %w, %g, @gate, @up, @down : <T x 8 x f32>, <T x 4 x f32, [_, tp]> -> <T x 8 x f32, partial tp>
    %m = nn.mul %w, %w : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    %z = nn.add %p, %y : <T x 8 x f32, partial tp>, <T x 8 x f32, partial tp> -> <T x 8 x f32, partial tp>
    %s = dist.reduce_scatter %z dimension 0 over "tp" because "experts = grouped_gemm" : <T x 8 x f32, partial tp> -> <T x 8 x f32, [tp, _]>
    return %s : !nn.tensor<T x 8 x f32, [tp, _]>
  }

  // Tokens that all ranks have need not be brought, only the results.
  // CHECK-LABEL: func.func @whole
  // CHECK-SAME: (%[[X:.*]]: !nn
  func.func @whole(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> attributes {nn.all_to_all = "tp"} {
    // CHECK: %[[P:.*]] = dist.slice %[[X]] dimension 0
    // CHECK: nn.linear %[[P]], @router
    // CHECK: %[[Y:.*]] = nn.experts "silu" %[[X]],
    // CHECK: %[[S:.*]] = dist.reduce_scatter %[[Y]] dimension 0 over "tp" for
    // CHECK: dist.all_gather %[[S]] dimension 0 over "tp" because
    %l = nn.linear %x, @router : <T x 8 x f32> -> <T x 4 x f32>
    %r = nn.route %l k 2 "softmax" : <T x 4 x f32> -> <T x 4 x f32>
    %g = dist.slice %r dimension 1 over "tp" because "experts = grouped_gemm" : <T x 4 x f32> -> <T x 4 x f32, [_, tp]>
    %y = nn.experts "silu" %x, %g, @gate, @up, @down : <T x 8 x f32>, <T x 4 x f32, [_, tp]> -> <T x 8 x f32, partial tp>
    %s = dist.all_reduce %y over "tp" because "experts = grouped_gemm" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    return %s : !nn.tensor<T x 8 x f32>
  }

  // Nobody chose it here.
  // CHECK-LABEL: func.func @unmarked
  // CHECK-NOT: experts [
  func.func @unmarked(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> {
    %l = nn.linear %x, @router : <T x 8 x f32> -> <T x 4 x f32>
    %r = nn.route %l k 2 "softmax" : <T x 4 x f32> -> <T x 4 x f32>
    %g = dist.slice %r dimension 1 over "tp" because "experts = grouped_gemm" : <T x 4 x f32> -> <T x 4 x f32, [_, tp]>
    %y = nn.experts "silu" %x, %g, @gate, @up, @down : <T x 8 x f32>, <T x 4 x f32, [_, tp]> -> <T x 8 x f32, partial tp>
    %s = dist.all_reduce %y over "tp" because "experts = grouped_gemm" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    return %s : !nn.tensor<T x 8 x f32>
  }
}
