// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// Every rank routes alike; the experts' own strategies slice the gates.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"router" = "ep_router" from "plan">]} {
  // CHECK: @router.weight : !nn.tensor<4 x 8 x f32> from {{.*}} rule "router = ep_router (plan)"
  nn.weight @router.weight : !nn.tensor<4 x 8 x f32> from [#nn.source<"router.weight" in 0 at 0 : 4 x 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    // CHECK-NOT: dist.
    %y = nn.linear %x, @router.weight : <T x 8 x f32> -> <T x 4 x f32> loc("router")
    return
  }
}
