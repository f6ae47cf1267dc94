// RUN: %dcc-opt %s | %dcc-opt | FileCheck %s
// What is printed reads back as the same IR.

// CHECK: nn.files = [#nn.file<"model.safetensors", 4096 bytes, "00ff">, #nn.random<"norms", 64 bytes, seed 18446744073709551615 mean -1.5e+00 spread 3.125e-02>]
module attributes {dist.mesh = #dist.mesh<tp = 2>,
    nn.files = [#nn.file<"model.safetensors", 4096 bytes, "00ff">,
                #nn.random<"norms", 64 bytes, seed 18446744073709551615 mean -1.5 spread 0.03125>]} {
  // CHECK: nn.frequencies @rope [1.0e+00, 5.6234133e-01] scale 1.000000e+00 dynamic [1.000000e+04, 2.000000e+00, 2.048000e+03]
  nn.frequencies @rope [1.0, 0.56234133] scale 1.0 dynamic [10000.0, 2.0, 2048.0]
  // CHECK: nn.frequencies @longrope [1.0e+00, 5.0e-01] scale 1.200000e+00 beyond 32 [2.5e-01, 1.25e-01]
  nn.frequencies @longrope [1.0, 0.5] scale 1.2 beyond 32 [0.25, 0.125]
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
  nn.weight @head.weight : !nn.tensor<2 x 4 x f32> from [#nn.source<"h" in 0 at 0 : 2 x 4 x f32>]
  nn.weight @sinks : !nn.tensor<2 x f32> from [#nn.source<"s" in 0 at 0 : 2 x f32>]
  // CHECK: nn.weight @plus.weight : !nn.tensor<8 x f32> plus 1.000000e+00 from
  nn.weight @plus.weight : !nn.tensor<8 x f32> plus 1.0 from [#nn.source<"p" in 0 at 0 : 8 x f32>]
  // A view: columns of the tensor as rows.
  // CHECK: nn.weight @view.weight : !nn.tensor<4 x 8 x f32> from [#nn.source<"w" in 0 at 16 : 4 x 8 x f32 strides [1, 4]>]
  nn.weight @view.weight : !nn.tensor<4 x 8 x f32> from [#nn.source<"w" in 0 at 16 : 4 x 8 x f32 strides [1, 4]>]
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
    // CHECK: nn.layer_norm %{{.*}}, @norm.weight bias @norm.weight eps 1.000000e-05
    %ln = nn.layer_norm %h, @norm.weight bias @norm.weight eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.layer_norm %{{.*}}, @plus.weight eps 1.000000e-05
    %lp = nn.layer_norm %ln, @plus.weight eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.head_norm %{{.*}} head_dim 4 eps 1.000000e-05
    %un = nn.head_norm %lp head_dim 4 eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.head_layer_norm %{{.*}}, @head.weight head_dim 4 eps 1.000000e-05
    %hl = nn.head_layer_norm %un, @head.weight head_dim 4 eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.rope %{{.*}}, %{{.*}}, @longrope head_dim 8 first 4
    %rf = nn.rope %hl, %positions, @longrope head_dim 8 first 4 : <T x 8 x f32>, <T x i32> -> <T x 8 x f32>
    // CHECK: nn.temperature %{{.*}}, %{{.*}} scale 1.000000e-01 floor 8192
    %tp = nn.temperature %rf, %positions scale 0.1 floor 8192 : <T x 8 x f32>, <T x i32> -> <T x 8 x f32>
    // CHECK: nn.attention %{{.*}}, @cache sinks @sinks k_dim 4 v_dim 4 scale 5.000000e-01 softcap 3.000000e+01 chunk 16 pairing [array<i64: 0, 2>, array<i64: 1, 2>]
    %as = nn.attention %tp, %k, %k, @cache sinks @sinks k_dim 4 v_dim 4 scale 0.5 softcap 30.0 chunk 16
        pairing [array<i64: 0, 2>, array<i64: 1, 2>]
        : <T x 8 x f32>, <T x 4 x f32>, <T x 4 x f32> -> <T x 8 x f32>
    // CHECK: nn.slice_heads %{{.*}} head_dim 4 first 1 size 3 : <T x 8 x f32> -> <T x 6 x f32>
    %sh = nn.slice_heads %as head_dim 4 first 1 size 3 : <T x 8 x f32> -> <T x 6 x f32>
    // CHECK: nn.extend_heads %{{.*}}, %{{.*}} head_dim 3 : <T x 6 x f32>, <T x 4 x f32> -> <T x 14 x f32>
    %eh = nn.extend_heads %sh, %k head_dim 3 : <T x 6 x f32>, <T x 4 x f32> -> <T x 14 x f32>
    // CHECK: nn.scale %{{.*}} by 2.500000e-01 : <T x 14 x f32> -> <T x 14 x f32>
    %sc = nn.scale %eh by 0.25 : <T x 14 x f32> -> <T x 14 x f32>
    // CHECK: nn.slice_heads %{{.*}} head_dim 14 first 13 size 1
    %f = nn.slice_heads %sc head_dim 14 first 13 size 1 : <T x 14 x f32> -> <T x 1 x f32>
    // CHECK: nn.scale_rows %{{.*}}, %{{.*}} : <T x 14 x f32>, <T x 1 x f32> -> <T x 14 x f32>
    %sr = nn.scale_rows %sc, %f : <T x 14 x f32>, <T x 1 x f32> -> <T x 14 x f32>
    // CHECK: nn.soft_cap %{{.*}} at 3.000000e+01 : <T x 14 x f32> -> <T x 14 x f32>
    %cap = nn.soft_cap %sr at 30.0 : <T x 14 x f32> -> <T x 14 x f32>
    // CHECK: nn.split %{{.*}} : <T x 8 x f32> -> !nn.tensor<T x 6 x f32>, !nn.tensor<T x 2 x f32>
    %parts:2 = nn.split %h : <T x 8 x f32> -> !nn.tensor<T x 6 x f32>, !nn.tensor<T x 2 x f32>
    // CHECK: nn.last_token %{{.*}} : <T x 8 x f32> -> <B x 8 x f32>
    %l = nn.last_token %h : <T x 8 x f32> -> <B x 8 x f32>
    return %l : !nn.tensor<B x 8 x f32>
  }

  // CHECK: func.func @encode
  func.func @encode(%tokens: !nn.tensor<T x i32>, %positions: !nn.tensor<T x i32>, %types: !nn.tensor<T x i32>)
      -> (!nn.tensor<T x 8 x f32>, !nn.tensor<B x 8 x f32>) attributes {nn.outputs = ["hidden", "pooled"]} {
    %e = nn.embedding %types, @q.weight : <T x i32> -> <T x 8 x f32>
    // CHECK: nn.attention %{{.*}}, %{{.*}}, %{{.*}} k_dim 4 v_dim 4 scale 5.000000e-01 :
    %a = nn.attention %e, %e, %e k_dim 4 v_dim 4 scale 0.5
        : <T x 8 x f32>, <T x 8 x f32>, <T x 8 x f32> -> <T x 8 x f32>
    // CHECK: nn.pool "mean" %{{.*}} : <T x 8 x f32> -> <B x 8 x f32>
    %p = nn.pool "mean" %a : <T x 8 x f32> -> <B x 8 x f32>
    return %a, %p : !nn.tensor<T x 8 x f32>, !nn.tensor<B x 8 x f32>
  }
}
