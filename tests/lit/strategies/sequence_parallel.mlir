// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// A norm over its part of the tokens: the sum before it is scattered, its result gathered.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"down" = "rowwise_rep" from "plan">,
    #nn.rule<"norm" = "sequence_parallel" from "plan">]} {
  nn.weight @down.weight : !nn.tensor<8 x 8 x f32> from [#nn.source<"down.weight" in 0 at 0 : 8 x 8 x f32>]
  // CHECK: @norm.weight : !nn.tensor<8 x f32> from
  nn.weight @norm.weight : !nn.tensor<8 x f32> from [#nn.source<"norm.weight" in 0 at 0 : 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    %y = nn.linear %x, @down.weight : <T x 8 x f32> -> <T x 8 x f32> loc("down")
    // CHECK: %[[S:.*]] = dist.reduce_scatter %{{.*}} dimension 0 over "tp" because "norm = sequence_parallel (plan)" : <T x 8 x f32, partial tp> -> <T x 8 x f32, [tp, _]>
    // CHECK: %[[N:.*]] = nn.rms_norm %[[S]], @norm.weight {{.*}} -> <T x 8 x f32, [tp, _]>
    // CHECK: dist.all_gather %[[N]] dimension 0 over "tp" because "norm = sequence_parallel (plan)" : <T x 8 x f32, [tp, _]> -> <T x 8 x f32>
    %z = nn.rms_norm %y, @norm.weight eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32> loc("norm")
    %a = nn.activation "relu" %z : <T x 8 x f32> -> <T x 8 x f32> loc("act")
    return
  }
}
