// RUN: %dcc-opt %s -allocate | FileCheck %s

dist.program @program_0 ranks [0] {
  nn.weight @w : !nn.tensor<16 x 16 x f32> from [#nn.source<"w" in 0 at 0 : 16 x 16 x f32>]
  // Two at a time are enough: the first and third never live together. 4 tokens of 16 floats are
  // 256 bytes; the output lives to the end.
  // CHECK: plan.entry @chain bounds {T = 4 : i64} arena 512 {
  plan.entry @chain bounds {T = 4} {
    // CHECK: plan.alloc at 0
    %a = plan.alloc : <T x 16 x f32>
    // CHECK: plan.alloc at 256
    %b = plan.alloc : <T x 16 x f32>
    // CHECK: plan.alloc at 0
    %c = plan.alloc : <T x 16 x f32>
    plan.gemm %a, @w into %a : <T x 16 x f32> into <T x 16 x f32>
    plan.gemm %a, @w into %b : <T x 16 x f32> into <T x 16 x f32>
    plan.gemm %b, @w into %c : <T x 16 x f32> into <T x 16 x f32>
    plan.output "logits" %c of 16 columns : <T x 16 x f32>
  }
  // A view keeps its base alive.
  // CHECK: plan.entry @view bounds {T = 4 : i64} arena 768 {
  plan.entry @view bounds {T = 4} {
    %a = plan.alloc : <T x 16 x f32>
    %v = plan.view %a from column 8 : <T x 16 x f32> -> <T x 8 x f32, 16>
    %b = plan.alloc : <T x 16 x f32>
    %c = plan.alloc : <T x 16 x f32>
    plan.gemm %b, @w into %a : <T x 16 x f32> into <T x 16 x f32>
    plan.gemm %b, @w into %c : <T x 16 x f32> into <T x 16 x f32>
    plan.gemm %v, @w into %b : <T x 8 x f32, 16> into <T x 16 x f32>
    plan.output "logits" %b of 16 columns : <T x 16 x f32>
    plan.output "hidden" %c of 16 columns : <T x 16 x f32>
  }
}
