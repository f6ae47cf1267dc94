// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// Experts that do nothing leave what arrives as it is.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"mlp" = "moe_identity_expert" from "plan">,
    #nn.rule<"mlp.up" = "colwise" from "plan">]} {
  nn.weight @mlp.up.weight : !nn.tensor<16 x 8 x f32> from [#nn.source<"mlp.up.weight" in 0 at 0 : 16 x 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    // CHECK: nn.linear {{.*}} -> <T x 16 x f32, [_, tp]>
    // CHECK-NOT: dist.
    %y = nn.linear %x, @mlp.up.weight : <T x 8 x f32> -> <T x 16 x f32> loc("mlp.up")
    %z = nn.activation "silu" %y : <T x 16 x f32> -> <T x 16 x f32> loc("mlp")
    return
  }
}
