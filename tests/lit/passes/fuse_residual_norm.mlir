// RUN: %dcc-opt %s -fuse-residual-norm | FileCheck %s

nn.weight @norm : !nn.tensor<8 x f32> from [#nn.source<"norm" in 0 at 0 : 8 x f32>]

// The sum stays available to the next residual.
// CHECK-LABEL: func.func @f
func.func @f(%x: !nn.tensor<T x 8 x f32>, %y: !nn.tensor<T x 8 x f32>) -> (!nn.tensor<T x 8 x f32>, !nn.tensor<T x 8 x f32>) {
  // CHECK-NEXT: %[[SUM:.*]], %[[NORM:.*]] = nn.add_rms_norm %arg0, %arg1, @norm eps 1.000000e-05
  // CHECK-NEXT: nn.add %[[SUM]], %[[NORM]]
  %s = nn.add %x, %y : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
  %n = nn.rms_norm %s, @norm eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
  %r = nn.add %s, %n : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
  return %r, %s : !nn.tensor<T x 8 x f32>, !nn.tensor<T x 8 x f32>
}

// CHECK-LABEL: func.func @alone
func.func @alone(%x: !nn.tensor<T x 8 x f32>) -> !nn.tensor<T x 8 x f32> {
  // CHECK-NEXT: nn.rms_norm
  %n = nn.rms_norm %x, @norm eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
  return %n : !nn.tensor<T x 8 x f32>
}
