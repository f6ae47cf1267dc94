// RUN: %dcc-opt %s -residual-by-tokens | FileCheck %s
// RUN: %dcc-opt %s -residual-by-tokens=norms | FileCheck %s --check-prefix=NORMS

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  nn.weight @norm : !nn.tensor<8 x f32> from [#nn.source<"n" in 0 at 0 : 8 x f32>]

  // Two sums enter, norms take slices; at the end somebody needs it whole.
  // CHECK-LABEL: func.func @stream
  func.func @stream(%x: !nn.tensor<T x 8 x f32>, %p: !nn.tensor<T x 8 x f32, partial tp>, %q: !nn.tensor<T x 8 x f32, partial tp>) -> !nn.tensor<B x 8 x f32> {
    // CHECK: %[[P:.*]] = dist.reduce_scatter %{{.*}} dimension 0 over "tp" because "o = rowwise; norm = sequence_parallel"
    // CHECK: %[[X:.*]] = dist.slice %{{.*}} dimension 0 over "tp" because "norm = sequence_parallel"
    // CHECK: %[[A:.*]] = nn.add %[[X]], %[[P]] : {{.*}} -> <T x 8 x f32, [tp, _]>
    %s = dist.all_reduce %p over "tp" because "o = rowwise" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %a = nn.add %x, %s : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.rms_norm %[[A]], @norm
    %c = dist.slice %a dimension 0 over "tp" because "norm = sequence_parallel" : <T x 8 x f32> -> <T x 8 x f32, [tp, _]>
    %n = nn.rms_norm %c, @norm eps 1.0e-5 : <T x 8 x f32, [tp, _]> -> <T x 8 x f32, [tp, _]>
    // CHECK: %[[Q:.*]] = dist.reduce_scatter
    // CHECK: %[[B:.*]] = nn.add %[[A]], %[[Q]]
    %t = dist.all_reduce %q over "tp" because "down = rowwise" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %b = nn.add %a, %t : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: %[[W:.*]] = dist.all_gather %[[B]] dimension 0 over "tp" because "norm = sequence_parallel"
    // CHECK: nn.last_token %[[W]]
    %l = nn.last_token %b : <T x 8 x f32> -> <B x 8 x f32>
    // CHECK-NOT: dist.all_reduce
    return %l : !nn.tensor<B x 8 x f32>
  }

  // One sum saved, one gather added: nothing gained, so nothing changes.
  // CHECK-LABEL: func.func @no_gain
  func.func @no_gain(%x: !nn.tensor<T x 8 x f32>, %p: !nn.tensor<T x 8 x f32, partial tp>) -> !nn.tensor<B x 8 x f32> {
    // CHECK: dist.all_reduce
    // CHECK: nn.add {{.*}} -> <T x 8 x f32>
    %s = dist.all_reduce %p over "tp" because "o = rowwise" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %a = nn.add %x, %s : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    %c = dist.slice %a dimension 0 over "tp" because "norm = sequence_parallel" : <T x 8 x f32> -> <T x 8 x f32, [tp, _]>
    %n = nn.rms_norm %c, @norm eps 1.0e-5 : <T x 8 x f32, [tp, _]> -> <T x 8 x f32, [tp, _]>
    %l = nn.last_token %a : <T x 8 x f32> -> <B x 8 x f32>
    return %l : !nn.tensor<B x 8 x f32>
  }

  // Without a rule only where it is asked for.
  // CHECK-LABEL: func.func @unasked
  // CHECK: dist.all_reduce
  // NORMS-LABEL: func.func @unasked
  // NORMS-NOT: dist.all_reduce
  // NORMS: dist.reduce_scatter
  // NORMS: %[[N:.*]] = nn.rms_norm {{.*}} -> <T x 8 x f32, [tp, _]>
  // NORMS: dist.all_gather %[[N]] dimension 0 over "tp" because "residual-by-tokens"
  func.func @unasked(%x: !nn.tensor<T x 8 x f32>, %p: !nn.tensor<T x 8 x f32, partial tp>) -> !nn.tensor<T x 8 x f32> {
    %s = dist.all_reduce %p over "tp" because "o = rowwise" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %a = nn.add %x, %s : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    %n = nn.rms_norm %a, @norm eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
    return %n : !nn.tensor<T x 8 x f32>
  }
}
