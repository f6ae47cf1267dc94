// RUN: %dcc-opt %s -cancel-gathers | FileCheck %s

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  // CHECK-LABEL: func.func @there_and_back
  // CHECK-SAME: %[[C:.*]]: !nn.tensor<T x 8 x f32, [_, tp]>, %[[W:.*]]: !nn.tensor<T x 8 x f32>
  func.func @there_and_back(%c: !nn.tensor<T x 8 x f32, [_, tp]>, %w: !nn.tensor<T x 8 x f32>)
      -> (!nn.tensor<T x 8 x f32, [_, tp]>, !nn.tensor<T x 8 x f32>) {
    // CHECK-NEXT: return %[[C]], %[[W]]
    %g = dist.all_gather %c dimension 1 over "tp" because "a" : <T x 8 x f32, [_, tp]> -> <T x 8 x f32>
    %s = dist.slice %g dimension 1 over "tp" because "b" : <T x 8 x f32> -> <T x 8 x f32, [_, tp]>
    %t = dist.slice %w dimension 0 over "tp" because "c" : <T x 8 x f32> -> <T x 8 x f32, [tp, _]>
    %h = dist.all_gather %t dimension 0 over "tp" because "d" : <T x 8 x f32, [tp, _]> -> <T x 8 x f32>
    return %s, %h : !nn.tensor<T x 8 x f32, [_, tp]>, !nn.tensor<T x 8 x f32>
  }

  // CHECK-LABEL: func.func @part_of_a_sum
  func.func @part_of_a_sum(%p: !nn.tensor<T x 8 x f32, partial tp>) -> !nn.tensor<T x 8 x f32, [_, tp]> {
    // CHECK: dist.reduce_scatter %{{.*}} dimension 1 over "tp" because "o = rowwise; down = rowwise_rep" : <T x 8 x f32, partial tp> -> <T x 8 x f32, [_, tp]>
    // CHECK-NEXT: return
    %r = dist.all_reduce %p over "tp" because "o = rowwise" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %s = dist.slice %r dimension 1 over "tp" because "down = rowwise_rep" : <T x 8 x f32> -> <T x 8 x f32, [_, tp]>
    return %s : !nn.tensor<T x 8 x f32, [_, tp]>
  }

  // Another cut is another value, and a sum that others read stays.
  // CHECK-LABEL: func.func @kept
  func.func @kept(%c: !nn.tensor<T x 8 x f32, [_, tp]>, %p: !nn.tensor<T x 8 x f32, partial tp>)
      -> (!nn.tensor<T x 8 x f32, [tp, _]>, !nn.tensor<T x 8 x f32>, !nn.tensor<T x 8 x f32, [_, tp]>) {
    // CHECK: dist.all_gather
    // CHECK: dist.slice
    // CHECK: dist.all_reduce
    // CHECK: dist.slice
    %g = dist.all_gather %c dimension 1 over "tp" because "a" : <T x 8 x f32, [_, tp]> -> <T x 8 x f32>
    %s = dist.slice %g dimension 0 over "tp" because "b" : <T x 8 x f32> -> <T x 8 x f32, [tp, _]>
    %r = dist.all_reduce %p over "tp" because "c" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %t = dist.slice %r dimension 1 over "tp" because "d" : <T x 8 x f32> -> <T x 8 x f32, [_, tp]>
    return %s, %r, %t : !nn.tensor<T x 8 x f32, [tp, _]>, !nn.tensor<T x 8 x f32>, !nn.tensor<T x 8 x f32, [_, tp]>
  }

  // CHECK-LABEL: func.func @whole_sum
  func.func @whole_sum(%p: !nn.tensor<T x 8 x f32, partial tp>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: dist.all_reduce %{{.*}} over "tp" because "a; b"
    // CHECK-NEXT: return
    %s = dist.reduce_scatter %p dimension 0 over "tp" because "a" : <T x 8 x f32, partial tp> -> <T x 8 x f32, [tp, _]>
    %g = dist.all_gather %s dimension 0 over "tp" because "b" : <T x 8 x f32, [tp, _]> -> <T x 8 x f32>
    return %g : !nn.tensor<T x 8 x f32>
  }
}
