// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// A module whose parameters every rank has whole.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"up" = "local_params" from "plan">]} {
  // CHECK: @up.weight : !nn.tensor<4 x 8 x f32> from {{.*}} rule "up = local_params (plan)"
  nn.weight @up.weight : !nn.tensor<4 x 8 x f32> from [#nn.source<"up.weight" in 0 at 0 : 4 x 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    // CHECK-NOT: dist.
    %y = nn.linear %x, @up.weight : <T x 8 x f32> -> <T x 4 x f32> loc("up")
    return
  }
}
