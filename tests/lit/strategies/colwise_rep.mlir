// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// As colwise, and the output is gathered, after the bias.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"up" = "colwise_rep" from "plan">]} {
  // CHECK: @up.weight : !nn.tensor<16 x 8 x f32, [tp, _]>
  nn.weight @up.weight : !nn.tensor<16 x 8 x f32> from [#nn.source<"up.weight" in 0 at 0 : 16 x 8 x f32>]
  nn.weight @up.bias : !nn.tensor<16 x f32> from [#nn.source<"up.bias" in 0 at 0 : 16 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    %y = nn.linear %x, @up.weight : <T x 8 x f32> -> <T x 16 x f32> loc("up")
    // CHECK: %[[B:.*]] = nn.add_bias
    // CHECK: dist.all_gather %[[B]] dimension 1 over "tp" because "up = colwise_rep (plan)" : <T x 16 x f32, [_, tp]> -> <T x 16 x f32>
    %z = nn.add_bias %y, @up.bias : <T x 16 x f32> -> <T x 16 x f32> loc("up")
    %a = nn.activation "relu" %z : <T x 16 x f32> -> <T x 16 x f32> loc("act")
    return
  }
}
