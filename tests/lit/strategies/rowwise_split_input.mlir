// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// As rowwise, of an input that every rank has whole: each takes its columns.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"down" = "rowwise_split_input" from "plan">]} {
  // CHECK: @down.weight : !nn.tensor<4 x 8 x f32, [_, tp]>
  nn.weight @down.weight : !nn.tensor<4 x 8 x f32> from [#nn.source<"down.weight" in 0 at 0 : 4 x 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    // CHECK: %[[X:.*]] = dist.slice %{{.*}} dimension 1 over "tp" because "down = rowwise_split_input (plan)" : <T x 8 x f32> -> <T x 8 x f32, [_, tp]>
    // CHECK: nn.linear %[[X]], @down.weight : <T x 8 x f32, [_, tp]> -> <T x 4 x f32, partial tp>
    %z = nn.linear %x, @down.weight : <T x 8 x f32> -> <T x 4 x f32> loc("down")
    return
  }
}
