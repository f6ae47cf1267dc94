// RUN: %dcc-opt %s -merge-duplicates | FileCheck %s

// One slice for q and k, with both reasons; another axis of the value is another slice.
module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  // CHECK-LABEL: func.func @f
  func.func @f(%x: !nn.tensor<T x 8 x f32>) {
    // CHECK: %[[S:.*]] = dist.slice %{{.*}} dimension 1 over "tp" because "q = rowwise_rep; k = rowwise_rep"
    %a = dist.slice %x dimension 1 over "tp" because "q = rowwise_rep" : <T x 8 x f32> -> <T x 8 x f32, [_, tp]>
    %b = dist.slice %x dimension 1 over "tp" because "k = rowwise_rep" : <T x 8 x f32> -> <T x 8 x f32, [_, tp]>
    // CHECK: dist.slice %{{.*}} dimension 0
    %c = dist.slice %x dimension 0 over "tp" because "norm" : <T x 8 x f32> -> <T x 8 x f32, [tp, _]>
    // CHECK-NOT: dist.slice
    // CHECK: nn.add %[[S]], %[[S]]
    %d = nn.add %a, %b : <T x 8 x f32, [_, tp]>, <T x 8 x f32, [_, tp]> -> <T x 8 x f32, [_, tp]>
    return
  }
}
