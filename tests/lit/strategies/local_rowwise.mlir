// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// Columns of the weight, the bias whole; the partial sum is summed before the bias.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"up" = "colwise" from "plan">,
    #nn.rule<"down" = "local_rowwise" from "plan">]} {
  // CHECK: @down.weight : !nn.tensor<8 x 16 x f32, [_, tp]>
  // CHECK: @down.bias : !nn.tensor<8 x f32> from
  nn.weight @up.weight : !nn.tensor<16 x 8 x f32> from [#nn.source<"up.weight" in 0 at 0 : 16 x 8 x f32>]
  nn.weight @down.weight : !nn.tensor<8 x 16 x f32> from [#nn.source<"down.weight" in 0 at 0 : 8 x 16 x f32>]
  nn.weight @down.bias : !nn.tensor<8 x f32> from [#nn.source<"down.bias" in 0 at 0 : 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    %y = nn.linear %x, @up.weight : <T x 8 x f32> -> <T x 16 x f32> loc("up")
    // CHECK: %[[P:.*]] = nn.linear %{{.*}}, @down.weight : <T x 16 x f32, [_, tp]> -> <T x 8 x f32, partial tp>
    %z = nn.linear %y, @down.weight : <T x 16 x f32> -> <T x 8 x f32> loc("down")
    // CHECK: %[[S:.*]] = dist.all_reduce %[[P]] over "tp" because "down = local_rowwise (plan)"
    // CHECK: nn.add_bias %[[S]], @down.bias
    %b = nn.add_bias %z, @down.bias : <T x 8 x f32> -> <T x 8 x f32> loc("down")
    return
  }
}
