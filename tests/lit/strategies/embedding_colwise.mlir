// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// The features of every token are cut.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"embed" = "embedding_colwise" from "plan">]} {
  // CHECK: @embed.weight : !nn.tensor<16 x 8 x f32, [_, tp]>
  nn.weight @embed.weight : !nn.tensor<16 x 8 x f32> from [#nn.source<"embed.weight" in 0 at 0 : 16 x 8 x f32>]
  func.func @f(%t: !nn.tensor<T x i32>) {
    // CHECK: nn.embedding {{.*}} -> <T x 8 x f32, [_, tp]>
    %y = nn.embedding %t, @embed.weight : <T x i32> -> <T x 8 x f32> loc("embed")
    return
  }
}
