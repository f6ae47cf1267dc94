// RUN: %dcc-opt %s -split-input-file -verify-sharding -verify-diagnostics
// A placement that was edited by hand is either a consequence of the others or refused.

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @up : !nn.tensor<16 x 8 x f32, [tp, _]> from [#nn.source<"up" in 0 at 0 : 16 x 8 x f32>]
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    // expected-error @+1 {{says its result is whole on every rank, its operands make it [_, tp]}}
    %u = nn.linear %x, @up : <T x 8 x f32> -> <T x 16 x f32>
    return
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  func.func @f(%x: !nn.tensor<T x 8 x f32, partial tp>) {
    // expected-error @+1 {{reads a partial sum as operand 0; sum it first}}
    %u = nn.activation "silu" %x : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    return
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  func.func @f(%x: !nn.tensor<T x 8 x f32, partial tp>) -> !nn.tensor<T x 8 x f32, partial tp> {
    // expected-error @+1 {{returns a partial sum; sum it first}}
    return %x : !nn.tensor<T x 8 x f32, partial tp>
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  func.func @f(%x: !nn.tensor<T x 8 x f32, [_, tp]>) {
    // expected-error @+1 {{splits a value whose cut is not that of its parts}}
    %a, %b = nn.split %x : <T x 8 x f32, [_, tp]> -> !nn.tensor<T x 4 x f32, [_, tp]>, !nn.tensor<T x 4 x f32, [_, tp]>
    return
  }
}

// -----

// Every rank's rows of the whole are its rows of the parts: this one is right.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  func.func @f(%x: !nn.tensor<T x 8 x f32, [_, tp{0:2+4:6, 2:4+6:8}]>) {
    %a, %b = nn.split %x : <T x 8 x f32, [_, tp{0:2+4:6, 2:4+6:8}]> -> !nn.tensor<T x 4 x f32, [_, tp]>, !nn.tensor<T x 4 x f32, [_, tp]>
    return
  }
}

// -----

module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.numerics = "invariant"} {
  func.func @f(%x: !nn.tensor<T x 8 x f32, partial tp>) {
    // expected-error @+1 {{reads a partial sum, whose value differs from degree to degree; with invariant numerics sum it first}}
    %s = nn.scale %x by 0.5 : <T x 8 x f32, partial tp> -> <T x 8 x f32, partial tp>
    return
  }
}
