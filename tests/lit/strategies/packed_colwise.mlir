// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// Every block of the packed rows is cut; a rank has its part of gate and its part of up.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"gate_up" = "packed_colwise" from "plan">]} {
  // CHECK: @gate_up.weight : !nn.tensor<16 x 8 x f32, [tp{0:2+4:10, 2:4+10:16}, _]>
  nn.weight @gate_up.weight : !nn.tensor<16 x 8 x f32> from [#nn.source<"gate_up.weight" in 0 at 0 : 16 x 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    %y = nn.linear %x, @gate_up.weight : <T x 8 x f32> -> <T x 16 x f32> loc("gate_up")
    // CHECK: nn.split {{.*}} -> !nn.tensor<T x 4 x f32, [_, tp]>, !nn.tensor<T x 12 x f32, [_, tp]>
    %g, %u = nn.split %y : <T x 16 x f32> -> !nn.tensor<T x 4 x f32>, !nn.tensor<T x 12 x f32> loc("mlp")
    return
  }
}
