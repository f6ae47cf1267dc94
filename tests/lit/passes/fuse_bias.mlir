// RUN: %dcc-opt %s -split-input-file -fuse-bias | FileCheck %s

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @up : !nn.tensor<16 x 8 x f32, [tp, _]> from [#nn.source<"up" in 0 at 0 : 16 x 8 x f32>]
  nn.weight @up.bias : !nn.tensor<16 x f32, [tp]> from [#nn.source<"up.bias" in 0 at 0 : 16 x f32>]
  nn.weight @down : !nn.tensor<8 x 16 x f32, [_, tp]> from [#nn.source<"down" in 0 at 0 : 8 x 16 x f32>]
  nn.weight @down.bias : !nn.tensor<8 x f32> from [#nn.source<"down.bias" in 0 at 0 : 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: nn.linear %{{.*}}, @up bias @up.bias
    // CHECK-NOT: nn.add_bias {{.*}} @up.bias
    %u = nn.linear %x, @up : <T x 8 x f32> -> <T x 16 x f32, [_, tp]>
    %b = nn.add_bias %u, @up.bias : <T x 16 x f32, [_, tp]> -> <T x 16 x f32, [_, tp]>
    // The sum over ranks stands between: a bias is added once.
    // CHECK: nn.linear %{{.*}}, @down :
    // CHECK: dist.all_reduce
    // CHECK: nn.add_bias %{{.*}}, @down.bias
    %d = nn.linear %b, @down : <T x 16 x f32, [_, tp]> -> <T x 8 x f32, partial tp>
    %s = dist.all_reduce %d over "tp" because "down = rowwise" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %r = nn.add_bias %s, @down.bias : <T x 8 x f32> -> <T x 8 x f32>
    return %r : !nn.tensor<T x 8 x f32>
  }
}

// -----

// A sum kept in f32 for invariant numerics is not rounded to the bias's result before it is added.
module attributes {dist.mesh = #dist.mesh<tp = 1>, nn.numerics = "invariant"} {
  nn.weight @down : !nn.tensor<8 x 16 x bf16> from [#nn.source<"down" in 0 at 0 : 8 x 16 x bf16>]
  nn.weight @down.bias : !nn.tensor<8 x f32> from [#nn.source<"down.bias" in 0 at 0 : 8 x f32>]
  // CHECK-LABEL: func.func @wide
  func.func @wide(%x: !nn.tensor<T x 16 x bf16>) -> !nn.tensor<T x 8 x bf16> {
    // CHECK: nn.linear %{{.*}}, @down chunks 8 : <T x 16 x bf16> -> <T x 8 x f32>
    %d = nn.linear %x, @down chunks 8 : <T x 16 x bf16> -> <T x 8 x f32>
    // CHECK: nn.add_bias {{.*}} : <T x 8 x f32> -> <T x 8 x bf16>
    %r = nn.add_bias %d, @down.bias : <T x 8 x f32> -> <T x 8 x bf16>
    return %r : !nn.tensor<T x 8 x bf16>
  }
}
