// RUN: %dcc-opt %s | %dcc-opt | FileCheck %s
// What is printed reads back as the same IR.

// CHECK: nn.files = [#nn.file<"model.safetensors", 4096 bytes, "00ff">, #nn.random<"norms", 64 bytes, seed 18446744073709551615 mean -1.5e+00 spread 3.125e-02>]
module attributes {dist.mesh = #dist.mesh<tp = 2>,
    nn.files = [#nn.file<"model.safetensors", 4096 bytes, "00ff">,
                #nn.random<"norms", 64 bytes, seed 18446744073709551615 mean -1.5 spread 0.03125>]} {
  // CHECK: nn.frequencies @rope [1.0e+00, 5.6234133e-01] scale 1.000000e+00 dynamic [1.000000e+04, 2.000000e+00, 2.048000e+03]
  nn.frequencies @rope [1.0, 0.56234133] scale 1.0 dynamic [10000.0, 2.0, 2048.0]
  // CHECK: nn.weight @embed.weight : !nn.tensor<32 x 8 x bf16, [tp, _]> from [#nn.source<"embed.weight" in 0 at 1024 : 32 x 8 x bf16>] rule "embed = rowwise (auto)"
  nn.weight @embed.weight : !nn.tensor<32 x 8 x bf16, [tp, _]>
      from [#nn.source<"embed.weight" in 0 at 1024 : 32 x 8 x bf16>] rule "embed = rowwise (auto)"
  // CHECK: nn.weight @k.weight : !nn.tensor<4 x 8 x f32, [tp{0:4, 0:4}, _]> heads 1 shared from
  nn.weight @k.weight : !nn.tensor<4 x 8 x f32, [tp{0:4, 0:4}, _]> heads 1 shared
      from [#nn.source<"k.weight" in 0 at 0 : 4 x 8 x f32>]
  // CHECK: nn.weight @local.weight : !nn.tensor<8 x 4 x f32> of !nn.tensor<8 x 8 x f32, [_, tp]> from
  nn.weight @local.weight : !nn.tensor<8 x 4 x f32> of !nn.tensor<8 x 8 x f32, [_, tp]>
      from [#nn.source<"o.weight" in 0 at 0 : 8 x 8 x f32>]
  nn.weight @norm.weight : !nn.tensor<8 x f32> from [#nn.source<"norm.weight" in 0 at 0 : 8 x f32>]
  nn.weight @q.weight : !nn.tensor<8 x 8 x f32> from [#nn.source<"q.weight" in 0 at 0 : 8 x 8 x f32>]
  nn.weight @kv.weight : !nn.tensor<4 x 8 x f32> from [#nn.source<"kv.weight" in 0 at 0 : 4 x 8 x f32>]
  // CHECK: nn.cache @cache : 1 heads of 4 + 4 x f32 in "full"
  nn.cache @cache : 1 heads of 4 + 4 x f32 in "full"

  // CHECK: func.func @prefill
  func.func @prefill(%tokens: !nn.tensor<T x i32>, %positions: !nn.tensor<T x i32>) -> !nn.tensor<B x 8 x f32> {
    // CHECK: nn.embedding %{{.*}}, @embed.weight : <T x i32> -> <T x 8 x f32, partial tp>
    %e = nn.embedding %tokens, @embed.weight : <T x i32> -> <T x 8 x f32, partial tp>
    // CHECK: dist.all_reduce %{{.*}} over "tp" because "embed = rowwise" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    %x = dist.all_reduce %e over "tp" because "embed = rowwise" : <T x 8 x f32, partial tp> -> <T x 8 x f32>
    // CHECK: nn.rms_norm %{{.*}}, @norm.weight eps 1.000000e-05
    %n = nn.rms_norm %x, @norm.weight eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.linear %{{.*}}, @q.weight : <T x 8 x f32> -> <T x 8 x f32>
    %q = nn.linear %n, @q.weight : <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.linear %{{.*}}, @q.weight bias @norm.weight
    %qb = nn.linear %n, @q.weight bias @norm.weight : <T x 8 x f32> -> <T x 8 x f32>
    %k = nn.linear %n, @kv.weight : <T x 8 x f32> -> <T x 4 x f32>
    // CHECK: nn.add_bias %{{.*}}, @norm.weight
    %b = nn.add_bias %qb, @norm.weight : <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.rope %{{.*}}, %{{.*}}, @rope head_dim 4 interleaved : <T x 8 x f32>, <T x i32> -> <T x 8 x f32>
    %r = nn.rope %q, %positions, @rope head_dim 4 interleaved : <T x 8 x f32>, <T x i32> -> <T x 8 x f32>
    // CHECK: nn.attention %{{.*}}, %{{.*}}, %{{.*}}, @cache k_dim 4 v_dim 4 scale 5.000000e-01 window 16
    %a = nn.attention %r, %k, %k, @cache k_dim 4 v_dim 4 scale 0.5 window 16
        : <T x 8 x f32>, <T x 4 x f32>, <T x 4 x f32> -> <T x 8 x f32>
    // CHECK: nn.activation "silu" %{{.*}} : <T x 8 x f32> -> <T x 8 x f32>
    %s = nn.activation "silu" %a : <T x 8 x f32> -> <T x 8 x f32>
    %m = nn.mul %s, %b : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.gated_activation "gelu" %{{.*}}, %{{.*}}
    %g = nn.gated_activation "gelu" %m, %b : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.add_rms_norm
    %sum, %h = nn.add_rms_norm %x, %g, @norm.weight eps 1.0e-5
        : <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>, <T x 8 x f32>
    // CHECK: nn.split %{{.*}} : <T x 8 x f32> -> !nn.tensor<T x 6 x f32>, !nn.tensor<T x 2 x f32>
    %parts:2 = nn.split %h : <T x 8 x f32> -> !nn.tensor<T x 6 x f32>, !nn.tensor<T x 2 x f32>
    // CHECK: nn.last_token %{{.*}} : <T x 8 x f32> -> <B x 8 x f32>
    %l = nn.last_token %h : <T x 8 x f32> -> <B x 8 x f32>
    return %l : !nn.tensor<B x 8 x f32>
  }
}
