// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// What leaves the module is summed.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"mlp.down" = "local_rowwise" from "plan">,
    #nn.rule<"mlp.up" = "local_colwise" from "plan">,
    #nn.rule<"mlp" = "all_reduce" from "plan">]} {
  nn.weight @mlp.up.weight : !nn.tensor<16 x 8 x f32> from [#nn.source<"mlp.up.weight" in 0 at 0 : 16 x 8 x f32>]
  nn.weight @mlp.down.weight : !nn.tensor<8 x 16 x f32> from [#nn.source<"mlp.down.weight" in 0 at 0 : 8 x 16 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    %y = nn.linear %x, @mlp.up.weight : <T x 8 x f32> -> <T x 16 x f32> loc("mlp.up")
    %z = nn.linear %y, @mlp.down.weight : <T x 16 x f32> -> <T x 8 x f32> loc("mlp.down")
    // CHECK: dist.all_reduce %{{.*}} over "tp" because "mlp = all_reduce (plan)"
    %a = nn.add %z, %z : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32> loc("layer")
    return
  }
}
