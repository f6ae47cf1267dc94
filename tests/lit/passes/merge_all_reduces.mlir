// RUN: %dcc-opt %s -merge-all-reduces | FileCheck %s

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  // CHECK-LABEL: func.func @merged
  func.func @merged(%a: !nn.tensor<T x 8 x f32, partial tp>, %b: !nn.tensor<T x 8 x f32, partial tp>) -> !nn.tensor<T x 8 x f32> {
    // CHECK: %[[P:.*]] = nn.add %{{.*}}, %{{.*}} -> <T x 8 x f32, partial tp>
    // CHECK-NEXT: dist.all_reduce %[[P]] over "tp" because "o = gather; down = gather" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    // CHECK-NEXT: return
    %x = dist.all_reduce %a over "tp" because "o = gather" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %y = dist.all_reduce %b over "tp" because "down = gather" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %s = nn.add %x, %y : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    return %s : !nn.tensor<T x 8 x f32>
  }

  // A sum that somebody else reads is there anyhow.
  // CHECK-LABEL: func.func @kept
  func.func @kept(%a: !nn.tensor<T x 8 x f32, partial tp>, %b: !nn.tensor<T x 8 x f32, partial tp>) -> (!nn.tensor<T x 8 x f32>, !nn.tensor<T x 8 x f32>) {
    // CHECK: dist.all_reduce
    // CHECK: dist.all_reduce
    // CHECK: nn.add
    %x = dist.all_reduce %a over "tp" because "o" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %y = dist.all_reduce %b over "tp" because "down" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %s = nn.add %x, %y : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    return %s, %x : !nn.tensor<T x 8 x f32>, !nn.tensor<T x 8 x f32>
  }
}
