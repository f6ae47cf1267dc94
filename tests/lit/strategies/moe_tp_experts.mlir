// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// Every expert is cut like an MLP; each rank has a part of all of them, and the sum is made before it is used.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"mlp.experts.gate_up_proj" = "packed_colwise" from "plan">,
    #nn.rule<"mlp.experts.down_proj" = "rowwise" from "plan">,
    #nn.rule<"mlp.experts" = "moe_tp_experts" from "plan">]} {
  // CHECK: @gate : !nn.tensor<4 x 6 x 8 x f32, [_, tp, _]>
  // CHECK: @up : !nn.tensor<4 x 6 x 8 x f32, [_, tp, _]>
  // CHECK: @down : !nn.tensor<4 x 8 x 6 x f32, [_, _, tp]>
  nn.weight @gate : !nn.tensor<4 x 6 x 8 x f32> from [#nn.source<"gate" in 0 at 0 : 4 x 6 x 8 x f32>]
  nn.weight @up : !nn.tensor<4 x 6 x 8 x f32> from [#nn.source<"up" in 0 at 0 : 4 x 6 x 8 x f32>]
  nn.weight @down : !nn.tensor<4 x 8 x 6 x f32> from [#nn.source<"down" in 0 at 0 : 4 x 8 x 6 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>, %g: !nn.tensor<T x 4 x f32>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: %[[Y:.*]] = nn.experts "silu" %{{.*}}, %{{.*}}, @gate, @up, @down {{.*}} -> <T x 8 x f32, partial tp>
    %y = nn.experts "silu" %x, %g, @gate, @up, @down : <T x 8 x f32>, <T x 4 x f32> -> <T x 8 x f32> loc("mlp.experts")
    // CHECK: dist.all_reduce %[[Y]] over "tp" because "mlp.experts.gate_up_proj = packed_colwise (plan)"
    return %y : !nn.tensor<T x 8 x f32>
  }
}
