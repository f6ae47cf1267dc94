// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// Rows of the weight and of the bias; the output is cut by features.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"up" = "colwise" from "plan">]} {
  // CHECK: @up.weight : !nn.tensor<16 x 8 x f32, [tp, _]>
  // CHECK: @up.bias : !nn.tensor<16 x f32, [tp]>
  nn.weight @up.weight : !nn.tensor<16 x 8 x f32> from [#nn.source<"up.weight" in 0 at 0 : 16 x 8 x f32>]
  nn.weight @up.bias : !nn.tensor<16 x f32> from [#nn.source<"up.bias" in 0 at 0 : 16 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    // CHECK: nn.linear %{{.*}}, @up.weight : <T x 8 x f32> -> <T x 16 x f32, [_, tp]>
    %y = nn.linear %x, @up.weight : <T x 8 x f32> -> <T x 16 x f32> loc("up")
    // CHECK: nn.add_bias {{.*}} -> <T x 16 x f32, [_, tp]>
    // CHECK-NOT: dist.
    %z = nn.add_bias %y, @up.bias : <T x 16 x f32> -> <T x 16 x f32> loc("up")
    return
  }
}
