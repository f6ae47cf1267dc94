// RUN: %dcc-opt %s -fuse-gated-activation | FileCheck %s

// CHECK-LABEL: func.func @fused
func.func @fused(%g: !nn.tensor<T x 8 x f32>, %u: !nn.tensor<T x 8 x f32>) -> (!nn.tensor<T x 8 x f32>, !nn.tensor<T x 8 x f32>) {
  // CHECK-NEXT: nn.gated_activation "silu" %arg0, %arg1
  %a = nn.activation "silu" %g : <T x 8 x f32> -> <T x 8 x f32>
  %x = nn.mul %a, %u : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
  // In either order.
  // CHECK-NEXT: nn.gated_activation "gelu" %arg0, %arg1
  %b = nn.activation "gelu" %g : <T x 8 x f32> -> <T x 8 x f32>
  %y = nn.mul %u, %b : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
  return %x, %y : !nn.tensor<T x 8 x f32>, !nn.tensor<T x 8 x f32>
}

// The activation is read twice: it stays.
// CHECK-LABEL: func.func @kept
func.func @kept(%g: !nn.tensor<T x 8 x f32>, %u: !nn.tensor<T x 8 x f32>) -> (!nn.tensor<T x 8 x f32>, !nn.tensor<T x 8 x f32>) {
  // CHECK-NEXT: nn.activation
  // CHECK-NEXT: nn.mul
  %a = nn.activation "silu" %g : <T x 8 x f32> -> <T x 8 x f32>
  %x = nn.mul %a, %u : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
  return %x, %a : !nn.tensor<T x 8 x f32>, !nn.tensor<T x 8 x f32>
}
