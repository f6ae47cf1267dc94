// RUN: %dcc-opt %s -split-input-file -shard=gather -verify-diagnostics | FileCheck %s

// What arrives cut where it is needed whole is gathered for that op alone, with a warning.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @up : !nn.tensor<16 x 8 x f32, [tp, _]> from [#nn.source<"up" in 0 at 0 : 16 x 8 x f32>] rule "up = colwise"
  nn.weight @down : !nn.tensor<8 x 16 x f32, [tp, _]> from [#nn.source<"down" in 0 at 0 : 8 x 16 x f32>] rule "down = colwise"
  // CHECK-LABEL: func.func @mlp
  func.func @mlp(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: %[[U:.*]] = nn.linear
    %u = nn.linear %x, @up : <T x 8 x f32> -> <T x 16 x f32>
    // CHECK: %[[W:.*]] = dist.reshard %[[U]] because "up = colwise, gathered, as --allow-implicit-gather allows" : <T x 16 x f32, [_, tp]> -> <T x 16 x f32>
    // CHECK: nn.linear %[[W]], {{.*}} -> <T x 8 x f32, [_, tp]>
    // expected-warning @below {{gathers what arrives, which costs an exchange in every step: }}
    %d = nn.linear %u, @down : <T x 16 x f32> -> <T x 8 x f32>
    // CHECK: nn.activation "relu" %[[U]]
    %a = nn.activation "relu" %u : <T x 16 x f32> -> <T x 16 x f32>
    return %d : !nn.tensor<T x 8 x f32>
  }
}

// -----

// A slice of something whole is never made in silence, nor with this.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @down : !nn.tensor<8 x 16 x f32, [_, tp]> from [#nn.source<"down" in 0 at 0 : 8 x 16 x f32>] rule "down = rowwise"
  func.func @whole(%x: !nn.tensor<T x 16 x f32>) -> !nn.tensor<T x 8 x f32> {
    // expected-error @below {{down}}
    %d = nn.linear %x, @down : <T x 16 x f32> -> <T x 8 x f32>
    return %d : !nn.tensor<T x 8 x f32>
  }
}
