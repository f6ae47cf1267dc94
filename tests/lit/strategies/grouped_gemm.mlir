// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// Every rank holds whole experts and sees their gates.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"mlp.experts.gate_up_proj" = "grouped_gemm" from "plan">,
    #nn.rule<"mlp.experts.down_proj" = "grouped_gemm" from "plan">]} {
  // CHECK: @gate : !nn.tensor<4 x 6 x 8 x f32, [tp, _, _]>
  // CHECK: @up : !nn.tensor<4 x 6 x 8 x f32, [tp, _, _]>
  // CHECK: @down : !nn.tensor<4 x 8 x 6 x f32, [tp, _, _]>
  nn.weight @gate : !nn.tensor<4 x 6 x 8 x f32> from [#nn.source<"gate" in 0 at 0 : 4 x 6 x 8 x f32>]
  nn.weight @up : !nn.tensor<4 x 6 x 8 x f32> from [#nn.source<"up" in 0 at 0 : 4 x 6 x 8 x f32>]
  nn.weight @down : !nn.tensor<4 x 8 x 6 x f32> from [#nn.source<"down" in 0 at 0 : 4 x 8 x 6 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>, %g: !nn.tensor<T x 4 x f32>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: %[[G:.*]] = dist.slice %{{.*}} dimension 1 over "tp" because "mlp.experts.gate_up_proj = grouped_gemm (plan)"
    // CHECK: %[[Y:.*]] = nn.experts "silu" %{{.*}}, %[[G]]
    %y = nn.experts "silu" %x, %g, @gate, @up, @down : <T x 8 x f32>, <T x 4 x f32> -> <T x 8 x f32> loc("mlp.experts")
    // CHECK: dist.all_reduce %[[Y]] over "tp" because "mlp.experts.gate_up_proj = grouped_gemm (plan)"
    return %y : !nn.tensor<T x 8 x f32>
  }
}
