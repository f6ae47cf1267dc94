// RUN: %dcc-opt %s -split-input-file -schedule | FileCheck %s

module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.limits = {max_tokens = 8, max_seqs = 2, max_seq_len = 40}} {
  dist.program @program_0 ranks [0, 1] {
    // Two sequences of 40 tokens: 2 * 1 pages; K and V of one head of 4, 64 tokens each.
    // CHECK: plan.page_group @group.full : 2 pages of 64 tokens, 2048 bytes window 0
    // CHECK: plan.cache @cache in @group.full : 1 heads of 4 + 4 x f32 at 0, 1024
    nn.cache @cache : 1 heads of 4 + 4 x f32 in "full"
    // CHECK: plan.constant @rope [1.0e+00, 5.0e-01]
    nn.frequencies @rope [1.0, 0.5] scale 2.0
    nn.weight @embed : !nn.tensor<8 x 4 x f32> of !nn.tensor<16 x 4 x f32, [tp, _]> from [#nn.source<"e" in 0 at 0 : 16 x 4 x f32>]
    nn.weight @qkv : !nn.tensor<12 x 4 x f32> of !nn.tensor<24 x 4 x f32, [tp{0:12, 12:24}, _]> from [#nn.source<"qkv" in 0 at 0 : 24 x 4 x f32>]
    nn.weight @norm : !nn.tensor<4 x f32> from [#nn.source<"n" in 0 at 0 : 4 x f32>]
    // CHECK: plan.entry @prefill bounds {B = 2 : i64, T = 8 : i64} {
    func.func @prefill(%tokens: !nn.tensor<T x i32>, %positions: !nn.tensor<T x i32>) -> !nn.tensor<B x 4 x f32>
        attributes {nn.bounds = {B = 2, T = 8}, nn.results = [!nn.tensor<B x 8 x f32, [_, tp]>]} {
      // CHECK: %[[TOKENS:.*]] = plan.input "tokens" : <T x 1 x i32>
      // CHECK: %[[POSITIONS:.*]] = plan.input "positions" : <T x 1 x i32>
      // CHECK: %[[E:.*]] = plan.alloc : <T x 4 x f32>
      // CHECK: plan.kernel "embedding"(%[[TOKENS]]) [@embed] into(%[[E]])
      %e = nn.embedding %tokens, @embed : <T x i32> -> <T x 4 x f32>
      // In place: nobody else reads the partial sum.
      // CHECK: plan.collective "all_reduce" over "tp" %[[E]] into %[[E]] dimension 0 because "embed = rowwise"
      %x = dist.all_reduce %e over "tp" because "embed = rowwise" : <T x 4 x f32> -> <T x 4 x f32>
      // CHECK: %[[N:.*]] = plan.alloc
      // CHECK: plan.kernel "rms_norm"(%[[E]]) [@norm] into(%[[N]]) {eps = 1.000000e-05 : f64}
      %n = nn.rms_norm %x, @norm eps 1.0e-5 : <T x 4 x f32> -> <T x 4 x f32>
      // CHECK: %[[QKV:.*]] = plan.alloc : <T x 12 x f32>
      // CHECK: plan.gemm %[[N]], @qkv into %[[QKV]]
      %qkv = nn.linear %n, @qkv : <T x 4 x f32> -> <T x 12 x f32>
      // CHECK: %[[Q:.*]] = plan.view %[[QKV]] from column 0 : <T x 12 x f32> -> <T x 4 x f32, 12>
      // CHECK: %[[K:.*]] = plan.view %[[QKV]] from column 4
      // CHECK: %[[V:.*]] = plan.view %[[QKV]] from column 8
      %q, %k, %v = nn.split %qkv : <T x 12 x f32> -> !nn.tensor<T x 4 x f32>, !nn.tensor<T x 4 x f32>, !nn.tensor<T x 4 x f32>
      // CHECK: plan.kernel "rope"(%[[Q]], %[[POSITIONS]]) [@rope] into(%[[Q]]) {head_dim = 4 : i64, scale = 2.000000e+00 : f64}
      %r = nn.rope %q, %positions, @rope head_dim 4 : <T x 4 x f32>, <T x i32> -> <T x 4 x f32>
      // CHECK: plan.kernel "kv_write"(%[[K]], %[[V]]) [@cache] into()
      // CHECK: %[[A:.*]] = plan.alloc : <T x 4 x f32>
      // CHECK: plan.kernel "attention"(%[[Q]]) [@cache] into(%[[A]]) {head_dim = 4 : i64, scale = 5.000000e-01 : f64}
      %a = nn.attention %r, %k, %v, @cache k_dim 4 v_dim 4 scale 0.5 : <T x 4 x f32>, <T x 4 x f32>, <T x 4 x f32> -> <T x 4 x f32>
      // The residual is read here for the last time: the sum takes its place.
      // CHECK: plan.kernel "add_rms_norm"(%[[E]], %[[A]]) [@norm] into(%[[S:.*]], %{{.*}}) {eps
      %s, %h = nn.add_rms_norm %x, %a, @norm eps 1.0e-5 : <T x 4 x f32>, <T x 4 x f32> -> <T x 4 x f32>, <T x 4 x f32>
      // CHECK: plan.kernel "last_token"
      %l = nn.last_token %h : <T x 4 x f32> -> <B x 4 x f32>
      // CHECK: plan.output "logits" %{{.*}} of 8 columns over "tp" ranges [0, 4, 4, 8] : <B x 4 x f32>
      return %l : !nn.tensor<B x 4 x f32>
    }
  }
}

// -----

// Tokens are cut as evenly as it goes: a rank's part by its number, no counts.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.limits = {max_tokens = 8, max_seqs = 2, max_seq_len = 8}} {
  dist.program @program_0 ranks [0, 1] {
    func.func @prefill(%tokens: !nn.tensor<T x i32>, %positions: !nn.tensor<T x i32>) -> !nn.tensor<T x 4 x f32>
        attributes {nn.bounds = {B = 2, T = 8}, nn.results = [!nn.tensor<T x 4 x f32>]} {
      %e = nn.embedding %tokens, @embed : <T x i32> -> <T x 4 x f32>
      // CHECK: plan.kernel "slice_rows"(%{{.*}}) [] into(%[[S:.*]]) ranges [array<i64: 0, 2>, array<i64: 1, 2>] {axis = "tp"} : (!plan.buffer<T x 4 x f32>) -> !plan.buffer<T_tp x 4 x f32>
      %s = dist.slice %e dimension 0 over "tp" because "s" : <T x 4 x f32> -> <T_tp x 4 x f32>
      // CHECK: plan.collective "all_gather" over "tp" %[[S]] into %{{.*}} dimension 0 because "g"
      %g = dist.all_gather %s dimension 0 over "tp" because "g" : <T_tp x 4 x f32> -> <T x 4 x f32>
      return %g : !nn.tensor<T x 4 x f32>
    }
    nn.weight @embed : !nn.tensor<16 x 4 x f32> from [#nn.source<"e" in 0 at 0 : 16 x 4 x f32>]
  }
}

// -----

// What the other families add: each op is a kernel, in place where nobody else reads its input.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.limits = {max_tokens = 8, max_seqs = 2, max_seq_len = 40}} {
  dist.program @program_0 ranks [0, 1] {
    nn.cache @cache : 1 heads of 4 + 4 x f32 in "full"
    // CHECK: plan.constant @rope [1.0e+00]
    // CHECK: plan.constant @[[BEYOND:.*]] [5.0e-01]
    nn.frequencies @rope [1.0] scale 1.0 beyond 32 [0.5]
    nn.weight @embed : !nn.tensor<16 x 8 x f32> from [#nn.source<"e" in 0 at 0 : 16 x 8 x f32>]
    nn.weight @kv : !nn.tensor<4 x 8 x f32> from [#nn.source<"kv" in 0 at 0 : 4 x 8 x f32>]
    nn.weight @norm : !nn.tensor<8 x f32> from [#nn.source<"n" in 0 at 0 : 8 x f32>]
    nn.weight @heads : !nn.tensor<2 x 4 x f32> from [#nn.source<"h" in 0 at 0 : 2 x 4 x f32>]
    nn.weight @sinks : !nn.tensor<2 x f32> from [#nn.source<"s" in 0 at 0 : 2 x f32>]
    func.func @prefill(%tokens: !nn.tensor<T x i32>, %positions: !nn.tensor<T x i32>) -> !nn.tensor<T x 10 x f32>
        attributes {nn.bounds = {B = 2, T = 8}, nn.results = [!nn.tensor<T x 10 x f32>]} {
      // CHECK: plan.kernel "embedding"(%{{.*}}) [@embed] into(%[[E:[0-9]+]])
      %e = nn.embedding %tokens, @embed : <T x i32> -> <T x 8 x f32>
      // CHECK: plan.kernel "scale"(%[[E]]) [] into(%[[E]]) {scale = 8.000000e+00 : f64}
      %x = nn.scale %e by 8.0 : <T x 8 x f32> -> <T x 8 x f32>
      // CHECK: plan.kernel "layer_norm"(%[[E]]) [@norm, @norm] into(%[[N:[0-9]+]]) {eps = 1.000000e-05 : f64}
      %n = nn.layer_norm %x, @norm bias @norm eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
      %k = nn.linear %n, @kv : <T x 8 x f32> -> <T x 4 x f32>
      // CHECK: plan.kernel "layer_norm"(%[[N]]) [@heads] into(%[[H:[0-9]+]]) {eps = 1.000000e-05 : f64, head_dim = 4 : i64}
      %h = nn.head_layer_norm %n, @heads head_dim 4 eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
      // CHECK: plan.kernel "unit_norm"(%[[H]]) [] into(%[[H]]) {eps = 1.000000e-05 : f64, head_dim = 4 : i64}
      %u = nn.head_norm %h head_dim 4 eps 1.0e-5 : <T x 8 x f32> -> <T x 8 x f32>
      // CHECK: plan.kernel "rope"(%[[H]], %[[POSITIONS:.*]]) [@rope, @[[BEYOND]]] into(%[[H]]) {first = 2 : i64, head_dim = 4 : i64, original_positions = 32 : i64, scale = 1.000000e+00 : f64}
      %r = nn.rope %u, %positions, @rope head_dim 4 first 2 : <T x 8 x f32>, <T x i32> -> <T x 8 x f32>
      // CHECK: plan.kernel "temperature"(%[[H]], %[[POSITIONS]]) [] into(%[[H]]) {floor = 16 : i64, scale = 1.000000e-01 : f64}
      %t = nn.temperature %r, %positions scale 0.1 floor 16 : <T x 8 x f32>, <T x i32> -> <T x 8 x f32>
      // CHECK: plan.kernel "kv_write"
      // CHECK: plan.kernel "attention"(%[[H]]) [@cache, @sinks] into(%[[A:[0-9]+]]) {chunk = 16 : i64, head_dim = 4 : i64, scale = 5.000000e-01 : f64, softcap = 3.000000e+01 : f64}
      %a = nn.attention %t, %k, %k, @cache sinks @sinks k_dim 4 v_dim 4 scale 0.5 softcap 30.0 chunk 16
          : <T x 8 x f32>, <T x 4 x f32>, <T x 4 x f32> -> <T x 8 x f32>
      // CHECK: plan.kernel "slice_heads"(%[[A]]) [] into(%[[S:[0-9]+]]) {first = 1 : i64, head_dim = 4 : i64, size = 1 : i64}
      %s = nn.slice_heads %a head_dim 4 first 1 size 1 : <T x 8 x f32> -> <T x 2 x f32>
      // CHECK: plan.kernel "extend_heads"(%[[S]], %{{.*}}) [] into(%[[X:[0-9]+]]) {head_dim = 1 : i64}
      %y = nn.extend_heads %s, %k head_dim 1 : <T x 2 x f32>, <T x 4 x f32> -> <T x 10 x f32>
      // CHECK: plan.kernel "slice_heads"(%[[X]]) [] into(%[[F:[0-9]+]]) {first = 9 : i64, head_dim = 10 : i64, size = 1 : i64}
      %f = nn.slice_heads %y head_dim 10 first 9 size 1 : <T x 10 x f32> -> <T x 1 x f32>
      // CHECK: plan.kernel "scale_rows"(%[[X]], %[[F]]) [] into(%[[Z:[0-9]+]]) :
      %z = nn.scale_rows %y, %f : <T x 10 x f32>, <T x 1 x f32> -> <T x 10 x f32>
      // CHECK: plan.kernel "soft_cap"(%[[Z]]) [] into(%[[Z]]) {softcap = 2.000000e+01 : f64}
      %c = nn.soft_cap %z at 20.0 : <T x 10 x f32> -> <T x 10 x f32>
      return %c : !nn.tensor<T x 10 x f32>
    }
  }
}

// -----

// A model that encodes takes the tokens' types and keeps nothing.
module attributes {dist.mesh = #dist.mesh<tp = 1>, nn.limits = {max_tokens = 8, max_seqs = 2, max_seq_len = 8}} {
  dist.program @program_0 ranks [0] {
    // CHECK: plan.entry @encode
    // CHECK: %[[TYPES:.*]] = plan.input "types"
    func.func @encode(%tokens: !nn.tensor<T x i32>, %positions: !nn.tensor<T x i32>, %types: !nn.tensor<T x i32>)
        -> (!nn.tensor<T x 4 x f32>, !nn.tensor<B x 4 x f32>)
        attributes {nn.bounds = {B = 2, T = 8}, nn.outputs = ["hidden", "pooled"],
                    nn.results = [!nn.tensor<T x 4 x f32>, !nn.tensor<B x 4 x f32>]} {
      // CHECK: plan.kernel "embedding"(%[[TYPES]]) [@embed] into(%[[E:[0-9]+]])
      %e = nn.embedding %types, @embed : <T x i32> -> <T x 4 x f32>
      // CHECK: plan.kernel "self_attention"(%[[E]], %[[E]], %[[E]]) [] into(%[[A:[0-9]+]]) {head_dim = 4 : i64, scale = 5.000000e-01 : f64}
      %a = nn.attention %e, %e, %e k_dim 4 v_dim 4 scale 0.5 : <T x 4 x f32>, <T x 4 x f32>, <T x 4 x f32> -> <T x 4 x f32>
      // CHECK: plan.kernel "first_token"(%[[A]]) [] into(%[[F:[0-9]+]]) :
      %f = nn.pool "first" %a : <T x 4 x f32> -> <B x 4 x f32>
      // CHECK: plan.kernel "mean_tokens"(%[[A]]) [] into(%[[M:[0-9]+]]) :
      %m = nn.pool "mean" %a : <T x 4 x f32> -> <B x 4 x f32>
      %s = nn.add %f, %m : <B x 4 x f32>, <B x 4 x f32> -> <B x 4 x f32>
      // CHECK: plan.output "hidden" %[[A]] of 4 columns : <T x 4 x f32>
      // CHECK: plan.output "pooled" %[[F]] of 4 columns : <B x 4 x f32>
      return %a, %s : !nn.tensor<T x 4 x f32>, !nn.tensor<B x 4 x f32>
    }
    nn.weight @embed : !nn.tensor<2 x 4 x f32> from [#nn.source<"e" in 0 at 0 : 2 x 4 x f32>]
  }
}

// -----

// How sums are made goes into the plan.
module attributes {dist.mesh = #dist.mesh<tp = 2>, nn.numerics = "invariant", nn.limits = {max_tokens = 8, max_seqs = 2, max_seq_len = 40}} {
  dist.program @program_0 ranks [0, 1] {
    nn.weight @down : !nn.tensor<4 x 8 x f32> of !nn.tensor<4 x 16 x f32, [_, tp]> from [#nn.source<"d" in 0 at 0 : 4 x 16 x f32>]
    nn.weight @gate : !nn.tensor<8 x 8 x 4 x f32> of !nn.tensor<8 x 16 x 4 x f32, [_, tp, _]> from [#nn.source<"g" in 0 at 0 : 8 x 16 x 4 x f32>]
    nn.weight @out : !nn.tensor<8 x 4 x 8 x f32> of !nn.tensor<8 x 4 x 16 x f32, [_, _, tp]> from [#nn.source<"o" in 0 at 0 : 8 x 4 x 16 x f32>]
    nn.weight @embed : !nn.tensor<16 x 8 x f32> of !nn.tensor<16 x 8 x f32> from [#nn.source<"e" in 0 at 0 : 16 x 8 x f32>]
    // CHECK-LABEL: plan.entry @sums
    func.func @sums(%tokens: !nn.tensor<T x i32>, %positions: !nn.tensor<T x i32>) -> !nn.tensor<T x 4 x f32> attributes {nn.bounds = {B = 2 : i64, T = 8 : i64}, nn.results = [!nn.tensor<T x 4 x f32>]} {
      %x = nn.embedding %tokens, @embed : <T x i32> -> <T x 8 x f32>
      // CHECK: plan.gemm %{{.*}}, @down chunks 4 into
      %d = nn.linear %x, @down chunks 4 : <T x 8 x f32> -> <T x 4 x f32>
      // CHECK: plan.collective "all_reduce" over "tp" %{{.*}} dimension 0 in tree because "down = rowwise"
      %s = dist.all_reduce %d over "tp" because "down = rowwise" : <T x 4 x f32> -> <T x 4 x f32>
      // CHECK: plan.kernel "experts"{{.*}} {chunks = 4 : i64, function = 0 : i64}
      %e = nn.experts "silu" %s, %x, @gate, @gate, @out chunks 4 : <T x 4 x f32>, <T x 8 x f32> -> <T x 4 x f32>
      return %e : !nn.tensor<T x 4 x f32>
    }
  }
}
