// RUN: %dcc-opt %s -choose-exchange | FileCheck %s
// RUN: %dcc-opt %s -choose-exchange=always | FileCheck %s --check-prefix=ALWAYS

// 64 experts on 8 ranks, of which a token takes one: nearly nobody needs it.
module attributes {dist.mesh = #dist.mesh<tp = 8>} {
  nn.weight @router : !nn.tensor<64 x 1024 x f32> from [#nn.source<"r" in 0 at 0 : 64 x 1024 x f32>]
  nn.weight @gate : !nn.tensor<64 x 256 x 1024 x f32, [tp, _, _]> from [#nn.source<"g" in 0 at 0 : 64 x 256 x 1024 x f32>]
  nn.weight @up : !nn.tensor<64 x 256 x 1024 x f32, [tp, _, _]> from [#nn.source<"u" in 0 at 0 : 64 x 256 x 1024 x f32>]
  nn.weight @down : !nn.tensor<64 x 1024 x 256 x f32, [tp, _, _]> from [#nn.source<"d" in 0 at 0 : 64 x 1024 x 256 x f32>]

  // CHECK: func.func @many{{.*}}nn.all_to_all = "tp"
  // ALWAYS: func.func @many{{.*}}nn.all_to_all = "tp"
  func.func @many(%x: !nn.tensor<T x 1024 x f32>) -> !nn.tensor<T x 1024 x f32> attributes {nn.bounds = {B = 8 : i64, T = 512 : i64}} {
    %l = nn.linear %x, @router : <T x 1024 x f32> -> <T x 64 x f32>
    %r = nn.route %l k 1 "softmax" : <T x 64 x f32> -> <T x 64 x f32>
    %g = dist.slice %r dimension 1 over "tp" because "experts = grouped_gemm" : <T x 64 x f32> -> <T x 64 x f32, [_, tp]>
    %y = nn.experts "silu" %x, %g, @gate, @up, @down : <T x 1024 x f32>, <T x 64 x f32, [_, tp]> -> <T x 1024 x f32, partial tp>
    %s = dist.all_reduce %y over "tp" because "experts = grouped_gemm" : <T x 1024 x f32, partial tp> -> <T x 1024 x f32>
    return %s : !nn.tensor<T x 1024 x f32>
  }

  // A token for each of few sequences: an exchange more costs more than its bytes.
  // CHECK: func.func @few
  // CHECK-NOT: nn.all_to_all
  // CHECK: func.func @everybody
  // ALWAYS: func.func @few{{.*}}nn.all_to_all = "tp"
  func.func @few(%x: !nn.tensor<T x 1024 x f32>) -> !nn.tensor<T x 1024 x f32> attributes {nn.bounds = {B = 4 : i64, T = 4 : i64}} {
    %l = nn.linear %x, @router : <T x 1024 x f32> -> <T x 64 x f32>
    %r = nn.route %l k 1 "softmax" : <T x 64 x f32> -> <T x 64 x f32>
    %g = dist.slice %r dimension 1 over "tp" because "experts = grouped_gemm" : <T x 64 x f32> -> <T x 64 x f32, [_, tp]>
    %y = nn.experts "silu" %x, %g, @gate, @up, @down : <T x 1024 x f32>, <T x 64 x f32, [_, tp]> -> <T x 1024 x f32, partial tp>
    %s = dist.all_reduce %y over "tp" because "experts = grouped_gemm" : <T x 1024 x f32, partial tp> -> <T x 1024 x f32>
    return %s : !nn.tensor<T x 1024 x f32>
  }

  // With 32 experts of a token nearly every rank needs it, and the gates come on top.
  // CHECK-NOT: nn.all_to_all
  // ALWAYS: func.func @everybody{{.*}}nn.all_to_all = "tp"
  func.func @everybody(%x: !nn.tensor<T x 1024 x f32>) -> !nn.tensor<T x 1024 x f32> attributes {nn.bounds = {B = 8 : i64, T = 512 : i64}} {
    %l = nn.linear %x, @router : <T x 1024 x f32> -> <T x 64 x f32>
    %r = nn.route %l k 32 "softmax" : <T x 64 x f32> -> <T x 64 x f32>
    %g = dist.slice %r dimension 1 over "tp" because "experts = grouped_gemm" : <T x 64 x f32> -> <T x 64 x f32, [_, tp]>
    %y = nn.experts "silu" %x, %g, @gate, @up, @down : <T x 1024 x f32>, <T x 64 x f32, [_, tp]> -> <T x 1024 x f32, partial tp>
    %s = dist.all_reduce %y over "tp" because "experts = grouped_gemm" : <T x 1024 x f32, partial tp> -> <T x 1024 x f32>
    return %s : !nn.tensor<T x 1024 x f32>
  }
}
