// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// Nothing is cut.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"up" = "replicated_with_grad_allreduce" from "plan">]} {
  // CHECK: @up.weight : !nn.tensor<16 x 8 x f32> from {{.*}} rule "up = replicated_with_grad_allreduce (plan)"
  nn.weight @up.weight : !nn.tensor<16 x 8 x f32> from [#nn.source<"up.weight" in 0 at 0 : 16 x 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    // CHECK-NOT: dist.
    %y = nn.linear %x, @up.weight : <T x 8 x f32> -> <T x 16 x f32> loc("up")
    return
  }
}
