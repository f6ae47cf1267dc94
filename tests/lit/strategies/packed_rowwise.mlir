// RUN: %dcc-opt %s -annotate -shard -collectives | FileCheck %s

// Columns of each half: what reads the result of a packed weight that nobody split.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.tp_plan = [
    #nn.rule<"up" = "packed_colwise" from "plan">,
    #nn.rule<"down" = "packed_rowwise" from "plan">]} {
  // CHECK: @down.weight : !nn.tensor<8 x 16 x f32, [_, tp{0:4+8:12, 4:8+12:16}]>
  nn.weight @up.weight : !nn.tensor<16 x 8 x f32> from [#nn.source<"up.weight" in 0 at 0 : 16 x 8 x f32>]
  nn.weight @down.weight : !nn.tensor<8 x 16 x f32> from [#nn.source<"down.weight" in 0 at 0 : 8 x 16 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    %y = nn.linear %x, @up.weight : <T x 8 x f32> -> <T x 16 x f32> loc("up")
    // CHECK: nn.linear %{{.*}}, @down.weight : <T x 16 x f32, [_, tp{0:4+8:12, 4:8+12:16}]> -> <T x 8 x f32, partial tp>
    %z = nn.linear %y, @down.weight : <T x 16 x f32> -> <T x 8 x f32> loc("down")
    return
  }
}
