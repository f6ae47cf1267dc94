// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// The narrow latent is whole on every rank.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"kv_a_proj" = "mla_kv_a_proj" from "plan">]} {
  // CHECK: @kv_a_proj.weight : !nn.tensor<4 x 8 x f32> from {{.*}} rule "kv_a_proj = mla_kv_a_proj (plan)"
  nn.weight @kv_a_proj.weight : !nn.tensor<4 x 8 x f32> from [#nn.source<"kv_a_proj.weight" in 0 at 0 : 4 x 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    // CHECK-NOT: dist.
    %y = nn.linear %x, @kv_a_proj.weight : <T x 8 x f32> -> <T x 4 x f32> loc("kv_a_proj")
    return
  }
}
