// RUN: %dcc-opt %s -split-input-file -collectives -verify-diagnostics | FileCheck %s

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  // CHECK-LABEL: func.func @all
  func.func @all(%p: !nn.tensor<T x 8 x f32, partial tp>, %c: !nn.tensor<T x 8 x f32, [_, tp]>, %w: !nn.tensor<T x 8 x f32>) {
    // CHECK: dist.all_reduce %{{.*}} over "tp" because "a" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %a = dist.reshard %p because "a" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    // CHECK: dist.reduce_scatter %{{.*}} dimension 1 over "tp" because "b" : <T x 8 x f32, partial tp> -> <T x 8 x f32, [_, tp]>
    %b = dist.reshard %p to <[_, tp]> because "b" : <T x 8 x f32, partial tp> -> <T x 8 x f32, [_, tp]>
    // CHECK: dist.all_gather %{{.*}} dimension 1 over "tp" because "c" : <T x 8 x f32, [_, tp]> -> <T x 8 x f32>
    %d = dist.reshard %c because "c" : <T x 8 x f32, [_, tp]> -> <T x 8 x f32>
    // CHECK: dist.slice %{{.*}} dimension 1 over "tp" because "d" : <T x 8 x f32> -> <T x 8 x f32, [_, tp]>
    %e = dist.reshard %w to <[_, tp]> because "d" : <T x 8 x f32> -> <T x 8 x f32, [_, tp]>
    // CHECK: dist.reduce_scatter %{{.*}} dimension 0 over "tp" because "t" : <T x 8 x f32, partial tp> -> <T x 8 x f32, [tp, _]>
    %t = dist.reshard %p to <[tp, _]> because "t" : <T x 8 x f32, partial tp> -> <T x 8 x f32, [tp, _]>
    // CHECK: %[[G:.*]] = dist.all_gather %{{.*}} dimension 1 over "tp" because "u" : <T x 8 x f32, [_, tp]> -> <T x 8 x f32>
    // CHECK: dist.slice %[[G]] dimension 0 over "tp" because "u" : <T x 8 x f32> -> <T x 8 x f32, [tp, _]>
    %u = dist.reshard %c to <[tp, _]> because "u" : <T x 8 x f32, [_, tp]> -> <T x 8 x f32, [tp, _]>
    // A part of what every rank has already moves nothing.
    // CHECK: dist.slice %{{.*}} dimension 1 over "tp" because "n" : <T x 8 x f32, [_, tp{0:6, 2:8}]> -> <T x 8 x f32, [_, tp]>
    %o = dist.reshard %w to <[_, tp{0:6, 2:8}]> because "o" : <T x 8 x f32> -> <T x 8 x f32, [_, tp{0:6, 2:8}]>
    %n = dist.reshard %o to <[_, tp]> because "n" : <T x 8 x f32, [_, tp{0:6, 2:8}]> -> <T x 8 x f32, [_, tp]>
    // What is already there costs nothing.
    // CHECK-NOT: because "e"
    %f = dist.reshard %c to <[_, tp]> because "e" : <T x 8 x f32, [_, tp]> -> <T x 8 x f32, [_, tp]>
    return
  }
}

// -----

// KV heads that ranks share can't be gathered by joining the parts.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  func.func @shared(%c: !nn.tensor<T x 4 x f32, [_, tp{0:4, 0:4}]>) {
    // expected-error @+1 {{can't go from [_, tp] to whole on every rank over 'tp' in one collective}}
    %d = dist.reshard %c because "c" : <T x 4 x f32, [_, tp{0:4, 0:4}]> -> <T x 4 x f32>
    return
  }
}
