// RUN: %dcc-opt %s | %dcc-opt | FileCheck %s

module attributes {dist.mesh = #dist.mesh<tp = 2>} {
  // CHECK: dist.program @program_0 ranks [0, 1] {
  dist.program @program_0 ranks [0, 1] {
    // CHECK: plan.page_group @group.full : 64 pages of 16 tokens, 4096 bytes window 0
    plan.page_group @group.full : 64 pages of 16 tokens, 4096 bytes window 0
    // CHECK: plan.cache @cache in @group.full : 1 heads of 32 + 32 x f32 at 0, 2048
    plan.cache @cache in @group.full : 1 heads of 32 + 32 x f32 at 0, 2048
    // CHECK: plan.constant @rope [1.0e+00, 5.0e-01]
    plan.constant @rope [1.0, 0.5]
    // CHECK: plan.weight @w : !nn.tensor<8 x 4 x bf16> of !nn.tensor<8 x 8 x bf16, [_, tp]> slices
    // CHECK-SAME: #plan.slice<rank 0 from row 0 = [<"w" in 0 at 64 : bf16, 8 runs of 4 every 8 to 0 every 4>]>
    plan.weight @w : !nn.tensor<8 x 4 x bf16> of !nn.tensor<8 x 8 x bf16, [_, tp]> slices
        [#plan.slice<rank 0 from row 0 = [<"w" in 0 at 64 : bf16, 8 runs of 4 every 8 to 0 every 4>]>,
         #plan.slice<rank 1 from row 0 = [<"w" in 0 at 72 : bf16, 8 runs of 4 every 8 to 0 every 4>]>]
    // CHECK: plan.entry @prefill bounds {B = 1 : i64, T = 4 : i64} arena 128 {
    plan.entry @prefill bounds {B = 1, T = 4} arena 128 {
      // CHECK: plan.input "tokens" : <T x 1 x i32>
      %t = plan.input "tokens" : <T x 1 x i32>
      // CHECK: plan.alloc at 0 : <T x 8 x f32>
      %x = plan.alloc at 0 : <T x 8 x f32>
      // CHECK: plan.view %{{.*}} from column 4 : <T x 8 x f32> -> <T x 4 x f32, 8>
      %v = plan.view %x from column 4 : <T x 8 x f32> -> <T x 4 x f32, 8>
      // CHECK: plan.gemm %{{.*}}, @w into %{{.*}} : <T x 4 x f32, 8> into <T x 8 x f32>
      plan.gemm %v, @w into %x : <T x 4 x f32, 8> into <T x 8 x f32>
      // CHECK: plan.kernel "last_token"(%{{.*}}) [] into(%{{.*}}) : (!plan.buffer<T x 8 x f32>) -> !plan.buffer<B x 8 x f32>
      %l = plan.alloc at 64 : <B x 8 x f32>
      plan.kernel "last_token" (%x) [] into (%l) : (!plan.buffer<T x 8 x f32>) -> !plan.buffer<B x 8 x f32>
      // CHECK: plan.collective "all_reduce" over "tp" %{{.*}} into %{{.*}} dimension 0 because "a rule"
      plan.collective "all_reduce" over "tp" %l into %l dimension 0 because "a rule"
          : <B x 8 x f32> into <B x 8 x f32>
      // CHECK: plan.output "logits" %{{.*}} of 16 columns over "tp" ranges [0, 8, 8, 16]
      plan.output "logits" %l of 16 columns over "tp" ranges [0, 8, 8, 16] : <B x 8 x f32>
    }
  }
}
